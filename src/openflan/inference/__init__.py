"""Text from models: requests, completions, and the inference engines that answer. Importing this package
loads no model library."""

from openflan.inference.http import HttpEngine
from openflan.inference.huggingface import HuggingFaceEngine
from openflan.inference.protocol import (
    Completion,
    Finish,
    InferenceEngine,
    LikelihoodEngine,
    LikelihoodRequest,
    OptionScores,
    Request,
)

__all__ = [
    "Completion",
    "Finish",
    "HttpEngine",
    "HuggingFaceEngine",
    "InferenceEngine",
    "LikelihoodEngine",
    "LikelihoodRequest",
    "OptionScores",
    "Request",
]
