"""What the command line does, as functions: each command of `headstart` calls one of these.

Paths may be `str` or `Path`. Long work tells `progress` how far it is; nothing is printed.
"""

from headstart.api.classifiers import carry_out as carry_out
from headstart.api.classifiers import fit as fit
from headstart.api.classifiers import load_run as load_run
from headstart.api.labels import label as label
from headstart.api.labels import suggest as suggest
from headstart.api.labels import write_suggestions as write_suggestions
from headstart.api.rankings import carry_out_ranking as carry_out_ranking
from headstart.api.rankings import rank as rank
from headstart.api.studies import carry_out_study as carry_out_study
from headstart.api.studies import compare as compare
from headstart.api.studies import load_study as load_study
from headstart.api.studies import study_recipe as study_recipe
from headstart.api.using import classify as classify
from headstart.api.using import evaluate as evaluate
from headstart.api.using import explain as explain
from headstart.api.using import export as export
from headstart.api.using import predict as predict
from headstart.api.using import serve as serve
