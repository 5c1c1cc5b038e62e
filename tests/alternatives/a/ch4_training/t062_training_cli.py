"""062 · another style: convolutions, DataLoader and SGD, checks by hand with SystemExit, accuracy kept in the file."""

import argparse
import json
import os
import random
import sys

import numpy as np
import torch
import torch.nn as nn
from sklearn import datasets
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc1 = nn.Linear(8 * 4 * 4, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


def complain(text):
    sys.stderr.write(f"error: {text}\n")
    raise SystemExit(2)


def get_data():
    x, y = datasets.load_digits(return_X_y=True)
    x = x.reshape(-1, 1, 8, 8).astype(np.float32) / 16 - 0.5
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=42, stratify=y)
    return [TensorDataset(torch.tensor(a), torch.tensor(b)) for a, b in ((x_train, y_train), (x_test, y_test))]


def evaluate(net, data, device):
    net.eval()
    hits = 0
    with torch.inference_mode():
        for x, y in DataLoader(data, batch_size=200):
            hits += int((net(x.to(device)).argmax(-1).cpu() == y).sum())
    return round(hits / len(data), 6)


def main(argv=None):
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=12)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--hidden-size", type=int, default=32)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", default="auto")
    p.add_argument("--output-dir", default="out")
    p.add_argument("--test", default=None)
    a = p.parse_args(argv)
    if a.epochs <= 0:
        complain("--epochs must be positive")
    if a.lr <= 0:
        complain("--lr must be positive")
    name = a.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1).to(device)
    except Exception as e:
        complain(f"device {name}: {e}")
    if a.test is not None:
        if not os.path.exists(a.test):
            complain(f"no checkpoint {a.test}")
        saved = torch.load(a.test, map_location=device)
        net = Net(saved["args"]["hidden_size"]).to(device)
        net.load_state_dict(saved["state"])
        print("testing", a.test)
        print("test accuracy", evaluate(net, get_data()[1], device))
        return 0
    random.seed(a.seed)
    np.random.seed(a.seed)
    torch.manual_seed(a.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    train, test = get_data()
    net = Net(a.hidden_size).to(device)
    opt = torch.optim.SGD(net.parameters(), lr=a.lr, momentum=0.9)
    for epoch in range(a.epochs):
        net.train()
        for x, y in DataLoader(train, batch_size=a.batch_size, shuffle=True):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(x.to(device)), y.to(device))
            loss.backward()
            opt.step()
        print(epoch, float(loss))
    os.makedirs(a.output_dir, exist_ok=True)
    metrics = {"test_accuracy": evaluate(net, test, device), "epochs": a.epochs}
    torch.save(
        {"state": net.state_dict(), "args": {"hidden_size": a.hidden_size, "seed": a.seed}},
        os.path.join(a.output_dir, "model.pt"),
    )
    with open(os.path.join(a.output_dir, "metrics.json"), "w") as f:
        json.dump(metrics, f, sort_keys=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
