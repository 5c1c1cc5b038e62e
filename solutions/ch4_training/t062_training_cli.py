"""062 · 命令列的訓練與測試腳本：參考解"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TEST_SIZE, SPLIT_SEED = 360, 0


def main(argv: list[str] | None = None) -> int:
    """訓練，或以 --test 測試；成功傳回 0。"""
    parser = argparse.ArgumentParser(description="手寫數字分類：訓練，或用 --test 測試訓練好的模型")
    parser.add_argument("--epochs", type=_positive(int), default=30)
    parser.add_argument("--lr", type=_positive(float), default=0.003)
    parser.add_argument("--batch-size", type=_positive(int), default=64)
    parser.add_argument("--hidden-size", type=_positive(int), default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=_device, default="cpu")
    parser.add_argument("--output-dir", type=Path, default=Path("runs"))
    parser.add_argument("--test", type=Path, metavar="CHECKPOINT")
    options = parser.parse_args(argv)  # 到這裡都沒有寫任何檔案；不合法時 argparse 以狀態 2 結束
    if options.test is None:
        _train(options)
        return 0
    if not options.test.is_file():
        parser.error(f"找不到 checkpoint：{options.test}")
    print(_test(options.test, options.device))
    return 0


def _train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    x, y, test_x, test_y = (tensor.to(options.device) for tensor in _split())
    model = _build(options.hidden_size).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    for epoch in range(options.epochs):
        total = 0.0
        for rows in torch.randperm(len(x)).to(x.device).split(options.batch_size):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1}: loss {total / len(x):.4f}")
    accuracy = _accuracy(model, test_x, test_y)
    print(f"test accuracy: {accuracy:.4f}")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    # 測試時要能獨自重建模型：結構的參數與權重放在一起。
    torch.save({"hidden_size": options.hidden_size, "model": model.state_dict()}, options.output_dir / "model.pt")
    metrics = {"seed": options.seed, "train_loss": total / len(x), "test_accuracy": accuracy}
    (options.output_dir / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def _test(path: Path, device: torch.device) -> float:
    checkpoint = torch.load(path, map_location=device, weights_only=True)
    model = _build(checkpoint["hidden_size"]).to(device)
    model.load_state_dict(checkpoint["model"])
    _, _, x, y = _split()
    return _accuracy(model, x.to(device), y.to(device))


def _split() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """訓練與測試資料；切分有自己的種子，與 --seed 無關。"""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SPLIT_SEED))
    test, train = order[:TEST_SIZE], order[TEST_SIZE:]
    return x[train], y[train], x[test], y[test]


def _build(hidden_size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 10))


@torch.no_grad()
def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return (model.eval()(x).argmax(1) == y).double().mean().item()


def _positive(kind: type) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"應大於 0，得到 {text}")
        return value

    return parse


def _device(name: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device  # 名稱對了，這台機器也要真的有
    except (RuntimeError, AssertionError):
        raise argparse.ArgumentTypeError(f"沒有這個裝置：{name}") from None


if __name__ == "__main__":
    sys.exit(main())
