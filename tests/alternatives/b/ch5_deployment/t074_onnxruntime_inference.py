"""Task 074 with onnx's checker first, I/O binding made for each call, and a lock around the run."""

import threading
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from torch import Tensor


class OnnxPredictor:
    def __init__(self, path, *, providers=None):
        path = Path(path)
        data = path.read_bytes()
        try:
            onnx.checker.check_model(data)
            model = onnx.load_from_string(data)
        except Exception as error:
            raise ValueError(f"{path}: {error}") from None
        self.input_names = [value.name for value in model.graph.input]
        self.output_names = [value.name for value in model.graph.output]
        dims = model.graph.input[0].type.tensor_type.shape.dim
        self.sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
        self.session = ort.InferenceSession(data, providers=providers)
        self.lock = threading.Lock()

    def prepare(self, x):
        if isinstance(x, Tensor):
            x = x.detach().float().cpu().numpy()
        x = np.array(x, dtype=np.float32, order="C")
        if x.ndim != len(self.sizes):
            raise ValueError(f"expected {len(self.sizes)} dimensions, got {x.ndim}")
        for wanted, got in zip(self.sizes, x.shape, strict=True):
            if wanted not in (None, got):
                raise ValueError(f"expected a size of {wanted}, got {got}")
        return x

    def __call__(self, x):
        x = self.prepare(x)
        binding = self.session.io_binding()
        binding.bind_cpu_input(self.input_names[0], x)
        binding.bind_output(self.output_names[0])
        with self.lock:
            self.session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]

    def predict_batches(self, x, batch_size):
        parts, rest = [], self.prepare(x)
        while len(rest):
            parts.append(self(rest[:batch_size]))
            rest = rest[batch_size:]
        return np.vstack(parts)
