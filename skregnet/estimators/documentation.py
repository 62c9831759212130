"""Links from the diagram of an estimator in a notebook to its page of documentation."""

# Where the documentation is published, ending in a slash. While it is nowhere, there are no links,
# and scikit-learn shows no descriptions of parameters, which are parts of its links.
DOCUMENTATION_ROOT = ""


class DocumentationLinkMixin:
    """Links to the documentation of this package instead of scikit-learn's."""

    def _get_doc_link(self):
        """Address of the page of the class; empty for a class that is defined elsewhere."""
        cls = type(self)
        package = cls.__module__.partition(".")[0]
        if not DOCUMENTATION_ROOT or package != __name__.partition(".")[0]:
            return ""
        return f"{DOCUMENTATION_ROOT}generated/{package}.{cls.__name__}.html"
