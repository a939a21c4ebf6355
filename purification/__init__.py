"""What is believed about every clip: scores in, decisions and epoch indexes out. Needs numpy and lmdb only."""

from sciu.purification.errors import DamagedError, PolicyError, PurifierError, WriteFailedError
from sciu.purification.index import EpochIndex
from sciu.purification.purifier import Purifier
from sciu.purification.revision import Pin
from sciu.purification.rules.auto.policy import Auto, Elr
from sciu.purification.rules.policy import Keep, Sciu, Scn
from sciu.purification.shared_purifier import SharedPurifier

__all__ = [
    "Auto",
    "DamagedError",
    "Elr",
    "EpochIndex",
    "Keep",
    "Pin",
    "PolicyError",
    "Purifier",
    "PurifierError",
    "Sciu",
    "Scn",
    "SharedPurifier",
    "WriteFailedError",
]
