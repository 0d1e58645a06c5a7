"""Tests of adapters/system.py: the sampler, with a stand-in for NVIDIA's management library."""

import sys
import threading
from types import SimpleNamespace

import psutil
import pytest

from tblog.adapters import system
from tblog.adapters._gpus import Gpus
from tblog.adapters.system import SystemSampler
from tblog.errors import InvalidValueError, MissingDependencyError
from tests.processes import run_program

TIMEOUT_SECS = 60


class NVMLError(Exception):
    """What NVML raises."""


def stand_in_nvml(*, driver=True):
    """Return a module with two devices; the second cannot report its power and, once `lost`, nothing at all."""
    module = SimpleNamespace(NVML_TEMPERATURE_GPU=0, NVMLError=NVMLError, lost=False)

    def init():
        if not driver:
            raise NVMLError("Driver Not Loaded")

    def answer(device, value):
        if value is None or (module.lost and device == 1):
            raise NVMLError("Not Supported")
        return value

    memory = SimpleNamespace(used=512 * 2**20, total=2048 * 2**20)
    module.nvmlInit = init
    module.nvmlDeviceGetCount = lambda: 2
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetHandleByUUID = lambda uuid: {"GPU-b": 1}[uuid]
    module.nvmlDeviceGetUtilizationRates = lambda device: answer(
        device, SimpleNamespace(gpu=30 + device, memory=5)
    )
    module.nvmlDeviceGetMemoryInfo = lambda device: answer(device, memory)
    module.nvmlDeviceGetPowerUsage = lambda device: answer(device, [75_500, None][device])
    module.nvmlDeviceGetTemperature = lambda device, sensor: answer(device, [50, 51][device] + sensor)
    return module


@pytest.fixture
def nvml(monkeypatch):
    """Install the stand-in as the package, with no device hidden."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    stand_in = stand_in_nvml()
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    return stand_in


@pytest.fixture
def sampled(monkeypatch):
    """Return an event that is set just before a second sample is kept."""
    event = threading.Event()
    calls = []

    class Counting(Gpus):
        def read(self):
            calls.append(threading.current_thread())
            if len(calls) > 1:
                event.set()
            return super().read()

    monkeypatch.setattr(system, "Gpus", Counting)
    event.threads = calls
    return event


def _by_tag(records):
    return {record.tag: record.value for record in records}


def _turned(sampler, *moments):
    """Take samples at the given times, without the thread; return each as {tag: value}."""
    sampler._machine.begin(0.0)
    sampler._pace.begin(0.0, sampler._steps)
    samples = []
    for now, steps in moments:
        sampler.step(steps)
        sampler._samples.append(sampler._sample(now, 0.0))
        samples.append(_by_tag(sampler._samples[-1].records))
    return samples


def test_samples_are_taken_on_a_thread_of_their_own_and_handed_over_once(sampled):
    """Samples come once, when the caller asks, as scalars."""
    with SystemSampler(period_secs=0.01) as sampler:
        assert sampled.wait(TIMEOUT_SECS)
    values = _by_tag(sampler.records())
    assert threading.main_thread() not in sampled.threads
    assert values["system/process/memory_mib"] > 1
    assert 0 <= values["system/memory_percent"] <= 100
    assert values["system/process/threads"] >= 2
    assert sampler.records() == []


def test_each_sample_has_a_time_of_its_own(sampled):
    """The samples come oldest first, each with its own wall time and elapsed time."""
    with SystemSampler(period_secs=0.01) as sampler:
        assert sampled.wait(TIMEOUT_SECS)
    samples = sampler.samples()
    assert len(samples) >= 2
    times = [sample.walltime for sample in samples]
    assert times == sorted(times)
    assert sampler.samples() == []


@pytest.mark.parametrize("ask", [SystemSampler.records, SystemSampler.samples])
def test_a_sampler_that_was_never_entered_says_so(ask):
    """It would never have anything to give; after a block it works."""
    sampler = SystemSampler(period_secs=100)
    with pytest.raises(InvalidValueError, match="before its `with` block"):
        ask(sampler)
    with sampler:
        pass
    assert ask(sampler) == []


def test_the_thread_ends_with_the_block_also_when_it_raises():
    """No sampler thread is left."""
    with pytest.raises(KeyError), SystemSampler(period_secs=1000):
        raise KeyError
    assert not any(thread.name == "tblog-system-sampler" for thread in threading.enumerate())


def test_process_figures_agree_with_the_process():
    """The resident memory is the one that psutil reports for this process."""
    (values,) = _turned(SystemSampler(), (1.0, 0))
    assert values["system/process/memory_mib"] == pytest.approx(
        psutil.Process().memory_info().rss / 2**20, rel=0.2
    )


def test_rates_are_per_second_of_the_interval(monkeypatch):
    """Bytes of all interfaces but the loopback are reported in MiB per second since the previous sample."""
    counted = iter([0, 30 * 2**20, 30 * 2**20])

    def counters(*, pernic):
        assert pernic
        moved = SimpleNamespace(bytes_recv=0, bytes_sent=next(counted))
        loopback = SimpleNamespace(bytes_recv=moved.bytes_sent, bytes_sent=moved.bytes_sent)
        return {"lo": loopback, "eth0": moved, "eth1": moved}

    sampler = SystemSampler()
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    monkeypatch.setattr(psutil, "net_io_counters", counters)
    first, second = _turned(sampler, (10.0, 0), (20.0, 0))
    assert first["system/network/sent_mib_per_sec"] == 6
    assert second["system/network/sent_mib_per_sec"] == 0
    assert first["system/network/received_mib_per_sec"] == 0
    assert "system/disk/read_mib_per_sec" not in first


def test_pace_and_time_left_follow_the_steps():
    """Steps per second cover the last period; the time left assumes the pace of the last periods."""
    sampler = SystemSampler(total_steps=100, tag="machine")
    idle, quick, slow = _turned(sampler, (10.0, 0), (20.0, 40), (30.0, 20))
    assert "machine/steps_per_sec" not in idle
    assert quick["machine/steps_per_sec"] == 4
    assert slow["machine/steps_per_sec"] == 2
    assert quick["machine/time_left_secs"] == pytest.approx(60 * 20 / 40)
    assert slow["machine/time_left_secs"] == pytest.approx(40 * 30 / 60)
    merged = _by_tag(sampler.records())
    assert merged["machine/steps_per_sec"] == 3
    assert merged["machine/time_left_secs"] == slow["machine/time_left_secs"]


def test_no_time_left_without_a_goal():
    """Without total_steps there is a pace but no time left."""
    (values,) = _turned(SystemSampler(), (10.0, 5))
    assert values["system/steps_per_sec"] == 0.5
    assert "system/time_left_secs" not in values


def test_gpu_figures_come_with_their_units(nvml):
    """NVML's milliwatts and bytes arrive as watts and MiB; figures that a device cannot report are left out."""
    assert Gpus().read() == {
        "gpu0/utilization_percent": 30,
        "gpu0/memory_mib": 512,
        "gpu0/memory_percent": 25,
        "gpu0/power_watts": 75.5,
        "gpu0/temperature_celsius": 50,
        "gpu1/utilization_percent": 31,
        "gpu1/memory_mib": 512,
        "gpu1/memory_percent": 25,
        "gpu1/temperature_celsius": 51,
    }
    nvml.lost = True
    assert not any(name.startswith("gpu1") for name in Gpus().read())


@pytest.mark.parametrize(
    ("visible", "temperatures"),
    [("1", {"gpu0": 51}), ("GPU-b,0", {"gpu0": 51, "gpu1": 50}), ("0,-1,1", {"gpu0": 50}), ("", {})],
)
@pytest.mark.usefixtures("nvml")
def test_only_the_gpus_that_cuda_may_use_are_sampled(monkeypatch, visible, temperatures):
    """CUDA_VISIBLE_DEVICES is followed, with indices and UUIDs, up to the first invalid entry."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    figures = Gpus().read()
    found = {
        name.split("/")[0]: value for name, value in figures.items() if name.endswith("temperature_celsius")
    }
    assert found == temperatures


@pytest.mark.parametrize("module", [None, stand_in_nvml(driver=False)])
def test_no_gpu_is_no_error(monkeypatch, module):
    """Neither a missing package nor a missing driver stops the sampler."""
    monkeypatch.setitem(sys.modules, "pynvml", module)
    (values,) = _turned(SystemSampler(), (1.0, 0))
    assert not any("gpu" in tag for tag in values)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "no /proc/diskstats"), NotImplementedError(), psutil.AccessDenied()]
)
@pytest.mark.parametrize("counter", ["disk_io_counters", "net_io_counters", "cpu_percent", "virtual_memory"])
def test_what_a_container_does_not_tell_is_left_out(monkeypatch, counter, error):
    """An unreadable counter does not affect the others."""
    sampler = SystemSampler()
    (before,) = _turned(sampler, (1.0, 0))

    def unreadable(*_args, **_options):
        raise error

    monkeypatch.setattr(psutil, counter, unreadable)
    (later,) = _turned(sampler, (1.0, 0))
    left_out = {
        "disk_io_counters": {"system/disk/read_mib_per_sec", "system/disk/write_mib_per_sec"},
        "net_io_counters": {"system/network/received_mib_per_sec", "system/network/sent_mib_per_sec"},
        "cpu_percent": {"system/cpu_percent"},
        "virtual_memory": {"system/memory_percent"},
    }[counter]
    assert later.keys() == before.keys() - left_out


def test_a_forked_child_samples_nothing_until_it_enters(tmp_path):
    """The thread and its samples stay the parent's; a child that enters a block samples for itself."""
    said = run_program(
        """
        import os, threading
        from tblog.adapters.system import SystemSampler

        def wait_for_a_sample(sampler):
            while not sampler._samples:
                threading.Event().wait(0.01)

        with SystemSampler(period_secs=0.01) as sampler:
            wait_for_a_sample(sampler)
            sampler._stop._cond.acquire()  # as the sampling thread may hold it at a fork
            child = os.fork()
            if not child:
                print(len(sampler.samples()), flush=True)
                sampler.__exit__(None, None, None)
                with sampler:
                    wait_for_a_sample(sampler)
                print(len(sampler.samples()) > 0, flush=True)
                os._exit(0)
            sampler._stop._cond.release()
            os.waitpid(child, 0)
        print(len(sampler.samples()) > 0)
        """,
        tmp_path,
    )
    assert said.split() == ["0", "True", "True"]


def test_missing_psutil_names_the_extra(monkeypatch):
    """Without psutil the error says what to install."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MissingDependencyError, match=r"tblog\[adapters\]"):
        SystemSampler()


def test_a_failing_sampler_tells_and_does_not_raise(monkeypatch):
    """An error on the thread is reported by one warning."""
    sampler = SystemSampler(period_secs=0.01)
    monkeypatch.setattr(sampler._machine, "read", lambda _now: 1 / 0)
    with sampler:
        sampler._thread.join(TIMEOUT_SECS)
        with pytest.warns(UserWarning, match="ZeroDivisionError"):
            assert sampler.records() == []
        assert sampler.records() == []


@pytest.mark.parametrize("wrong", [{"period_secs": 0}, {"period_secs": float("nan")}, {"total_steps": 0}])
def test_wrong_numbers_are_refused(wrong):
    """A period or goal of zero raises an error that says what to give."""
    with pytest.raises(InvalidValueError, match="above 0"):
        SystemSampler(**wrong)
