"""Figures of the GPUs that this process may use, from NVIDIA's management library (NVML).

Lives here: finding the devices, querying their figures, and doing without if there are none.
Must not: import torch or start threads. Runs on the sampler's thread, except for the constructor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

MEBIBYTE: Final = 1 << 20

# The queries for each device, and how to read their results:
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
    """Reads use, memory, power and temperature. Without the package, a driver or a GPU, it reads nothing."""

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
            return  # the package is installed, but there is no driver or no GPU

    def read(self) -> dict[str, float]:
        """Return the figures by name ("gpu0/power_watts"), without those that a device does not support."""
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
    """Return the devices by name. If CUDA_VISIBLE_DEVICES is set, return only those that it lists.

    NVML itself ignores that variable. It numbers devices by their bus number. CUDA does the same if all GPUs
    are of one model, or if CUDA_DEVICE_ORDER is PCI_BUS_ID.
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
            break  # CUDA also ignores everything after an invalid entry
        by_index = name.isdecimal()
        devices[f"gpu{position}"] = (
            nvml.nvmlDeviceGetHandleByIndex(int(name)) if by_index else nvml.nvmlDeviceGetHandleByUUID(name)
        )
    return devices
