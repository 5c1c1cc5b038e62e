"""084 · 模型的單元測試：參考解"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def run_model_tests(make_model: Callable[[], nn.Module], example: Tensor, target: Tensor) -> list[str]:
    """沒有通過的檢查的名稱。example (N, ...)，target (N,)。"""
    with torch.random.fork_rng():  # 初始化與 dropout 都會用到全域的亂數
        return [check.__name__ for check in CHECKS if not _passes(check, make_model, example, target)]


def _passes(check: Callable[..., bool], make_model: Callable[[], nn.Module], example: Tensor, target: Tensor) -> bool:
    try:
        return bool(check(make_model, example.clone(), target.clone()))  # 模型可能就地改動輸入
    except Exception:  # 壞掉的模型可能拋出任何例外
        return False


@torch.no_grad()
def _predict(model: nn.Module, x: Tensor) -> Tensor:
    return model.eval()(x.clone())


def _train(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x.clone()), y).backward()
        optimizer.step()
    return model


def output_shape(make_model, x, y):
    rows, columns = _predict(make_model(), x).shape
    return rows == len(x) and columns > int(y.max())


def gradients(make_model, x, y):
    model = make_model().train()
    F.cross_entropy(model(x), y).backward()
    return all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


def dead_output(make_model, x, y):
    output = _predict(make_model(), x)
    return (output - output[0]).abs().max() > 1e-6


def finite(make_model, x, y):
    return _predict(make_model(), x).isfinite().all()


def batch_independence(make_model, x, y):
    model = make_model()
    alone = torch.cat([_predict(model, sample) for sample in x.split(1)])
    return torch.allclose(_predict(model, x), alone, rtol=1e-4, atol=1e-4)


def deterministic_eval(make_model, x, y):
    model = make_model()
    return torch.equal(_predict(model, x), _predict(model, x))


def logits(make_model, x, y):
    output = _predict(make_model(), x)
    return not (output.min() >= 0 and torch.allclose(output.sum(dim=1), torch.ones_like(output[:, 0]), atol=1e-4))


def state_dict(make_model, x, y):
    # 另一個模型的初始值要不同，存之前也要訓練過，才看得出有狀態不在 state_dict 裡
    model, other = _train(make_model(), x, y, steps=3), make_model()
    other.load_state_dict(model.state_dict())
    return torch.allclose(_predict(model, x), _predict(other, x), rtol=1e-5, atol=1e-5)


def overfits_batch(make_model, x, y):
    model = make_model()
    for _ in range(12):
        _train(model, x, y, steps=20)
        if torch.equal(_predict(model, x).argmax(dim=1), y):
            return True
    return False


def input_unchanged(make_model, x, y):
    model, given = make_model(), x.clone()
    model.train()(given)
    model.eval()(given)
    return torch.equal(given, x)


CHECKS = (
    output_shape,
    gradients,
    dead_output,
    finite,
    batch_independence,
    deterministic_eval,
    logits,
    state_dict,
    overfits_batch,
    input_unchanged,
)
