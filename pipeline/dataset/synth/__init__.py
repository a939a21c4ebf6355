"""SynthDFER: painted faces whose expressions unfold in time, with wrong labels and low quality planted."""

from sciu.pipeline.dataset.synth.generate import Synth, generate

__all__ = ["Synth", "generate"]
