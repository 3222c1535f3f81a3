"""Which backbone serves these pictures best, without training any of them (docs/ranking.md).

    rank        the job: pictures -> each backbone -> Ranking      candidates  what was asked for, resolved
    judge       one backbone: features, answers, hints             local       backbones whose weights are here
    folds       stratified folds, out-of-fold answers              pairwise    order, differences, Pareto front
    speed       pictures per second, measured in turns             advice      the recommendation in words
    files       ranking.csv, ranking.json                      bench      pictures per second from the file on
    recommend   which to try first, with a reason each

Ranked by cross-validated logistic regression on stored features; LogME, H-score and LEEP stand beside it as hints.
"""
