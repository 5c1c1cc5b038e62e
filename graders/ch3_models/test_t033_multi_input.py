"""033 · 多輸入的模型：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_type,
    nn,
    raises,
    torch,
    unchanged,
)

# (image_features, text_features, hidden_size, num_classes)；第二組的兩種特徵一樣長，接反了形狀也對得上。
SIZES = pytest.mark.parametrize("sizes", [(5, 7, 4, 3), (6, 6, 3, 4)], ids=str)


def oracle(image_features, text_features, hidden, classes):
    """不接起來：classifier 的權重切成兩半，各乘一邊再相加。"""

    class TwoHalves(nn.Module):
        def __init__(self):
            super().__init__()
            self.image_fc, self.text_fc = nn.Linear(image_features, hidden), nn.Linear(text_features, hidden)
            self.classifier = nn.Linear(2 * hidden, classes)

        def forward(self, image, text):
            i = (image @ self.image_fc.weight.T + self.image_fc.bias).clamp(min=0)
            t = (text @ self.text_fc.weight.T + self.text_fc.bias).clamp(min=0)
            for_image, for_text = self.classifier.weight.split(hidden, dim=1)
            return i @ for_image.T + t @ for_text.T + self.classifier.bias

    return TwoHalves()


@pytest.fixture
def pair(submission, rng, device):
    """pair(sizes)：作答，與權重相同的另一個寫法（float64）。"""

    def make(sizes):
        truth = rng.fill_(oracle(*sizes).to(device))
        model = submission.MultiInputModel(*sizes).to(device)
        model.load_state_dict(truth.state_dict())
        return model, truth.double()

    return make


@pytest.mark.shape
@SIZES
def test_parts(submission, sizes):
    """子模組與 state_dict"""
    model = submission.MultiInputModel(*sizes)
    for name in ("image_fc", "text_fc", "classifier"):
        assert_type(getattr(model, name, None), nn.Linear, f"{name} ")
    expected = {name: tuple(value.shape) for name, value in oracle(*sizes).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """logits 的形狀與 dtype"""
    for n, classes in ((6, 3), (1, 3), (6, 1)):
        model = submission.MultiInputModel(5, 7, 4, classes).to(device, getattr(torch, dtype))
        logits = model(rng.normal((n, 5), dtype=dtype), rng.normal((n, 7), dtype=dtype))
        assert_shape(logits, (n, classes), what=f"B = {n}、num_classes = {classes} 時，logits ")
        assert_dtype(logits, dtype, what="logits ")


@pytest.mark.numeric
@SIZES
@pytest.mark.parametrize("mode, n", [("train", 9), ("eval", 9), ("train", 1)])
def test_logits(pair, rng, sizes, mode, n):
    """logits 符合公式"""
    model, truth = pair(sizes)
    model.train(mode == "train")
    image, text = rng.strided((n, sizes[0])), rng.strided((n, sizes[1]))
    expected = truth(image.double(), text.double())
    with unchanged(image, text, model):
        assert_close(model(image, text), expected, what="logits ")


@pytest.mark.numeric
def test_repeatable(pair, rng):
    """訓練時每次呼叫都相同"""
    # 五次裡有一次遮掉一種輸入的（modality dropout），一次呼叫多半看不出來：一百次都漏掉的機率是 2e-10。
    model, truth = pair((5, 7, 4, 3))
    model.train()
    image, text = rng.normal((9, 5)), rng.normal((9, 7))
    expected = truth(image.double(), text.double())
    for _ in range(100):
        assert_close(model(image, text), expected, what="logits ")


@pytest.mark.gradient
@SIZES
def test_gradient(pair, rng, sizes):
    """兩個輸入與每個參數的梯度"""
    # float64：在 float32，離 ReLU 的 0 太近的值，加總順序不同就會落在另一邊。
    model, truth = pair(sizes)
    # 八倍：也有大的值，截在 6 的 ReLU6 就不同了。
    image, text = (8 * rng.normal((9, features), dtype="float64") for features in sizes[:2])
    assert_same_module(model.double(), truth, image, text)


@pytest.mark.behaviour
@pytest.mark.parametrize("images, texts", [(12, 15), (15, 12), (1, 13), (13, 1)])
def test_batch_sizes(submission, rng, device, images, texts):
    """兩個 batch 大小不同：ValueError"""
    model = submission.MultiInputModel(5, 7, 4, 3).to(device)
    with raises(ValueError, images, texts):
        model(rng.normal((images, 5)), rng.normal((texts, 7)))
