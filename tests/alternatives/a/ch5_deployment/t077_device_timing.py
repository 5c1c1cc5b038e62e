"""077 · another style: a copy of the model goes to the device, times in an array of nanoseconds."""

import copy
import time

import numpy as np
import torch


def measure_inference_time(model, inputs, *, device, warmup=10, iterations=50):
    device = torch.device(device)
    try:
        torch.empty(1, device=device)
        clone = copy.deepcopy(model).to(device)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        raise RuntimeError(f"no such device: {device}") from error
    clone.eval()
    x = inputs.detach().to(device)
    wait = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)
    spent = np.empty(iterations)
    with torch.no_grad():
        for call in range(-warmup, iterations):
            wait()
            begin = time.perf_counter_ns()
            clone(x)
            wait()
            if call >= 0:
                spent[call] = time.perf_counter_ns() - begin
    return float(np.median(spent)) / 1e9


def compare_devices(model, inputs, devices=None):
    if devices is None:
        devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    result = {}
    for device in devices:
        result[f"{device}"] = measure_inference_time(model, inputs, device=device)
    return result
