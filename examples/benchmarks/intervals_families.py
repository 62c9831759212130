"""All families of `bench_intervals.py` by name."""

import intervals_classes as classes
import intervals_mapie as mapie
import intervals_methods as own

FAMILIES = {
    "skregnet": own.Default,
    "skregnet_single": own.Single,
    "skregnet_variance": own.PredictsVariance,
    "skregnet_quantiles": own.Quantiles,
    "skregnet_bootstrap": own.Bootstrap,
    "mapie_skregnet": mapie.CrossOwn,
    "mapie_hgb": mapie.CrossBoosting,
    "mapie_cqr": mapie.ConformalQuantiles,
    "hgb_quantiles": own.BoostedQuantiles,
    "ngboost": own.NGBoost,
    "catboost": own.CatBoostVariance,
    "catboost_ensemble": own.CatBoostEnsemble,
    "gp": own.Process,
    "skregnet_sets": classes.OwnSets,
    "hgb_proba": classes.BoostingProba,
    "sklearn_mlp_proba": classes.NetworkProba,
    "mapie_split_hgb": classes.SplitBoosting,
    "mapie_cross_hgb_lac": classes.CrossBoostingLAC,
    "mapie_cross_hgb_aps": classes.CrossBoostingAPS,
    "mapie_split_mlp": classes.SplitNetwork,
    "mapie_cross_mlp_lac": classes.CrossNetworkLAC,
    "mapie_cross_mlp_aps": classes.CrossNetworkAPS,
}
# Labels of the methods of each task, in the order of the tables.
LABELS = {
    task: {
        method: label
        for family in FAMILIES.values()
        if family.task == task
        for method, label in family.methods.items()
    }
    for task in ("regression", "classes")
}
