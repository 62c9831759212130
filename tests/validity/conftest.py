"""The long suite is run only where it is asked for: ``pytest -m validity``."""


def pytest_collection_modifyitems(config, items):
    if "validity" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("validity")]
    items[:] = [item for item in items if item.get_closest_marker("validity") is None]
    config.hook.pytest_deselected(items=long)
