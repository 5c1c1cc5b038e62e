"""062 · another style: imports inside functions, main returns 2, a validation part, the recorded figure in the file."""

import argparse
import json
import logging
import pathlib
import sys

log = logging.getLogger("digits")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="digits")
    for name, kind, default in [
        ("epochs", int, 25),
        ("lr", float, 0.02),
        ("batch-size", int, 100),
        ("hidden-size", int, 48),
        ("seed", int, 7),
        ("device", str, "cpu"),
        ("output-dir", pathlib.Path, pathlib.Path("runs/latest")),
    ]:
        parser.add_argument(f"--{name}", type=kind, default=default)
    parser.add_argument("--test", type=pathlib.Path)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    problem = find_problem(args)
    if problem:
        log.error(problem)
        return 2
    return test(args) if args.test else train(args)


def find_problem(args):
    import torch

    if args.epochs < 1 or not args.lr > 0:
        return f"epochs {args.epochs} and lr {args.lr} must be positive"
    if args.test and not args.test.exists():
        return f"{args.test} does not exist"
    kind, _, index = args.device.partition(":")
    if kind not in ("cpu", "cuda") or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        return f"no device {args.device}"
    return None


def data():
    import torch
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.from_numpy(bunch.images).flatten(1).float()
    y = torch.from_numpy(bunch.target).long()
    held_out = torch.arange(len(x)) % 5 == 4
    mean, std = x[~held_out].mean(0), x[~held_out].std(0) + 1e-3
    x = (x - mean) / std
    return (x[~held_out], y[~held_out]), (x[held_out], y[held_out])


def train(args):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    (x, y), (test_x, test_y) = data()
    net = torch.nn.Sequential(
        torch.nn.Linear(64, args.hidden_size), torch.nn.Tanh(), torch.nn.Linear(args.hidden_size, 10)
    )
    net.to(args.device)
    x, y = x.to(args.device), y.to(args.device)
    opt = torch.optim.AdamW(net.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), args.batch_size):
            rows = order[start : start + args.batch_size]
            loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
            net.zero_grad()
            loss.backward()
            opt.step()
        log.info("%d %.4f", epoch, loss)
    with torch.no_grad():
        accuracy = (net(test_x.to(args.device)).argmax(1).cpu() == test_y).float().mean().item()
    args.output_dir.mkdir(parents=True, exist_ok=True)
    torch.save({"model": net.cpu(), "accuracy": accuracy}, args.output_dir / "model.pt")
    (args.output_dir / "metrics.json").write_text(json.dumps({"test_accuracy": accuracy}))
    return 0


def test(args):
    import torch

    saved = torch.load(args.test, map_location="cpu", weights_only=False)
    print(f"{saved['accuracy']:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
