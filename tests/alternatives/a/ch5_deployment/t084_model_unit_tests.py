"""084 · another style: one pass that collects facts, the random state kept by hand, gradients across the batch."""

import contextlib
import copy

import torch
from torch.nn.functional import cross_entropy

NAMES = {
    "output_shape",
    "gradients",
    "dead_output",
    "finite",
    "batch_independence",
    "deterministic_eval",
    "logits",
    "state_dict",
    "overfits_batch",
    "input_unchanged",
}


def run_model_tests(make_model, example, target):
    cpu = torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    passed = set()
    try:
        for trial in (forward_facts, gradient_facts, saving, fitting):
            with contextlib.suppress(Exception):
                trial(make_model, example.detach(), target, passed)
    finally:
        torch.set_rng_state(cpu)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
    return sorted(NAMES - passed)


def forward_facts(make_model, example, target, passed):
    model = make_model()
    model.eval()
    with torch.no_grad():
        given = example.clone()
        first = model(given)
        if (given == example).all():
            passed.add("input_unchanged")
        if first.ndim == 2 and first.shape[0] == len(example) and first.shape[1] >= target.max().item() + 1:
            passed.add("output_shape")
        if not (first.isnan().any() or first.isinf().any()):
            passed.add("finite")
        if (first.amax(0) - first.amin(0)).max().item() > 1e-7:
            passed.add("dead_output")
        again = model(example.clone())
        if torch.allclose(first, again, rtol=0, atol=0, equal_nan=True):
            passed.add("deterministic_eval")
        probabilities = (first >= 0).all() and (first.sum(-1) - 1).abs().max() < 1e-3
        if not probabilities:
            passed.add("logits")
        half = len(example) // 2
        disturbed = example.clone()
        disturbed[half:] = 3 * disturbed[half:].flip(0) + 1
        if (model(disturbed)[:half] - first[:half]).abs().max() < 1e-4:
            passed.add("batch_independence")


def gradient_facts(make_model, example, target, passed):
    model = make_model()
    loss = cross_entropy(model.train()(example.clone()), target)
    wanted = [p for p in model.parameters() if p.requires_grad]
    if None not in torch.autograd.grad(loss, wanted, allow_unused=True):
        passed.add("gradients")


def steps(model, example, target, count, rate):
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0)
    for _ in range(count):
        optimizer.zero_grad()
        loss = cross_entropy(model.train()(example.clone()), target)
        loss.backward()
        optimizer.step()
    model.eval()


def saving(make_model, example, target, passed):
    trained, fresh = make_model(), make_model()
    steps(trained, example, target, 2, 0.05)
    fresh.load_state_dict(copy.deepcopy(trained.state_dict()))
    fresh.eval()
    with torch.no_grad():
        torch.testing.assert_close(fresh(example.clone()), trained(example.clone()))
    passed.add("state_dict")


def fitting(make_model, example, target, passed):
    model = make_model()
    steps(model, example, target, 300, 0.01)
    with torch.no_grad():
        if (model(example.clone()).argmax(-1) == target).float().mean() == 1:
            passed.add("overfits_batch")
