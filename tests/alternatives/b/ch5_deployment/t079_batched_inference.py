"""079 · another style: DataLoader for both kinds of data."""

import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset


class Stream(IterableDataset):
    def __init__(self, samples):
        self.samples = samples

    def __iter__(self):
        yield from self.samples


@torch.inference_mode()
def batch_inference(model, data, batch_size):
    before = {module: module.training for module in model.modules()}
    try:
        model.eval()
        if not isinstance(data, torch.Tensor):
            outputs = [model(batch) for batch in DataLoader(Stream(data), batch_size=batch_size)]
            return torch.cat(outputs) if outputs else torch.empty(0)
        if data.shape[0] == 0:
            return model(data)
        result, filled = None, 0
        for (batch,) in DataLoader(TensorDataset(data), batch_size=batch_size):
            output = model(batch)
            if result is None:
                result = torch.empty(data.shape[0], *output.shape[1:], dtype=output.dtype, device=output.device)
            result[filled : filled + len(output)] = output
            filled += len(output)
        return result
    finally:
        for module, training in before.items():
            module.training = training
