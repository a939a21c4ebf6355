"""SynthDFER: painted faces whose expressions change over time, with planted wrong labels and low-quality clips."""

from sciu.pipeline.dataset.synth.generate import Synth, generate

__all__ = ["Synth", "generate"]
