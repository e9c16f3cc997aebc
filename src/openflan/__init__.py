"""openflan: instruction finetuning after Chung et al. 2022, from tasks to a held-out evaluation."""

__version__ = "0.1.0"
