"""What NVIDIA's management library (NVML) says of the GPUs that this process may use.

Lives here: finding the devices, asking each for its figures, and living without any of it.
Must not: import torch or start threads. Runs on the sampler's thread, but for the constructor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

MEBIBYTE: Final = 1 << 20

# For each device a query, and how its answer is read:
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
_QUERIES: Final[tuple[tuple[Callable[[Any, Any], Any], dict[str, Callable[[Any], float]]], ...]] = (
    (
        lambda nvml, device: nvml.nvmlDeviceGetUtilizationRates(device),
        {"utilization_percent": lambda rates: rates.gpu},
    ),
    (
        lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device),
        {
            "memory_mib": lambda memory: memory.used / MEBIBYTE,
            "memory_percent": lambda memory: 100 * memory.used / memory.total,
        },
    ),
    (
        lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device),
        {"power_watts": lambda milliwatts: milliwatts / 1000},
    ),
    (
        lambda nvml, device: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        {"temperature_celsius": float},
    ),
)


class Gpus:
    """Read use, memory, power and temperature; without the package, a driver or a GPU, read nothing."""

    def __init__(self) -> None:
        self._devices: dict[str, Any] = {}
        try:
            import pynvml
        except ModuleNotFoundError:
            return
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            self._devices = _visible_devices(pynvml)
        except pynvml.NVMLError:
            return  # the package is there, the driver or the GPU is not

    def read(self) -> dict[str, float]:
        """Return the figures by name ("gpu0/power_watts"); what a device does not support is left out."""
        figures: dict[str, float] = {}
        for name, device in self._devices.items():
            for query, readings in _QUERIES:
                try:
                    answer = query(self._nvml, device)
                except self._nvml.NVMLError:
                    continue
                figures.update({f"{name}/{what}": float(read(answer)) for what, read in readings.items()})
        return figures


def _visible_devices(nvml: Any) -> dict[str, Any]:
    """Return the devices by name, those that CUDA_VISIBLE_DEVICES lists where it is set.

    NVML itself ignores that variable. It counts devices by their bus number, as CUDA does for
    machines whose GPUs are alike, and for all where CUDA_DEVICE_ORDER is PCI_BUS_ID.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return {
            f"gpu{index}": nvml.nvmlDeviceGetHandleByIndex(index)
            for index in range(nvml.nvmlDeviceGetCount())
        }
    devices = {}
    for position, name in enumerate(part.strip() for part in visible.split(",")):
        if name in {"", "-1"}:
            break  # CUDA too ignores what follows an invalid entry
        by_index = name.isdecimal()
        devices[f"gpu{position}"] = (
            nvml.nvmlDeviceGetHandleByIndex(int(name)) if by_index else nvml.nvmlDeviceGetHandleByUUID(name)
        )
    return devices
