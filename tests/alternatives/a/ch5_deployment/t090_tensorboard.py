"""Task 090 step by step over all curves at once, with close() in finally and tags with a prefix."""

import itertools

from torch.utils.tensorboard import SummaryWriter


def log_training(log_dir, curves, *, model=None, example=None):
    writer = SummaryWriter(log_dir=log_dir, flush_secs=1)
    try:
        for epoch, row in enumerate(itertools.zip_longest(*curves.values())):
            for tag, value in zip(curves, row, strict=True):
                if value is not None:
                    writer.add_scalar(tag, value, global_step=epoch + 1)
        if model is None:
            return
        writer.add_graph(model, (example,))
        for name, p in model.named_parameters():
            writer.add_histogram("weights/" + name.replace(".", "/"), p.detach().cpu().numpy(), 1, bins="auto")
    finally:
        writer.close()
