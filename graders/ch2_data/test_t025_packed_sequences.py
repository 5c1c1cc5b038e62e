"""025 · 可變長度的序列：評分"""

import copy

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradient_close,
    assert_shape,
    assert_type,
    assert_within_budget,
    check,
    nn,
    raises,
    torch,
    unchanged,
)

LENGTHS = [3, 6, 1, 4, 6, 2]  # 沒有排序，有同長的
D, H = 4, 5

RNNS = pytest.mark.parametrize(
    "kind, layers, batch_first",
    [("GRU", 1, False), ("GRU", 2, True), ("LSTM", 1, True), ("LSTM", 2, False)],
    ids=["GRU", "GRU-2-batch_first", "LSTM-batch_first", "LSTM-2"],
)


@pytest.fixture
def sequences(rng):
    """sequences(lengths)：各條 (T_i, D)。"""

    def make(lengths=LENGTHS, **settings):
        return [rng.normal((length, D), **settings) for length in lengths]

    return make


@pytest.fixture
def make_rnn(rng, device):
    """make_rnn(kind, layers, batch_first)：權重隨機的 RNN。"""

    def make(kind, layers=1, batch_first=False):
        return rng.fill_(getattr(nn, kind)(D, H, num_layers=layers, batch_first=batch_first).to(device))

    return make


def one_by_one(rnn, sequences):
    """定義：每條序列單獨餵給 rnn，各步的輸出。"""
    outputs = []
    for sequence in sequences:
        output, _ = rnn(sequence.unsqueeze(0 if rnn.batch_first else 1))
        outputs.append(output.squeeze(0 if rnn.batch_first else 1))
    return outputs


@pytest.mark.shape
def test_packed(submission, sequences):
    """PackedSequence，各時間點的條數"""
    packed = submission.pad_and_pack(sequences())
    assert_type(packed, nn.utils.rnn.PackedSequence, "pad_and_pack 的結果")
    assert_equal(packed.batch_sizes, torch.tensor([6, 5, 4, 3, 2, 2]), what="batch_sizes")
    assert_shape(packed.data, (sum(LENGTHS), D), "data ")


@pytest.mark.shape
@RNNS
def test_last_shape(submission, sequences, make_rnn, kind, layers, batch_first):
    """last_outputs 的形狀與 dtype"""
    rnn = make_rnn(kind, layers, batch_first).double()
    result = submission.last_outputs(rnn, sequences(dtype="float64"))
    assert_shape(result, (len(LENGTHS), H))
    assert_dtype(result, "float64")


@pytest.mark.numeric
def test_order_remembered(submission, sequences):
    """pad_and_pack 能由 pad_packed_sequence 還原"""
    given = sequences()
    expected = torch.stack([torch.cat([s, s.new_zeros(6 - len(s), D)]) for s in given])
    packed = submission.pad_and_pack(given)
    padded, lengths = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    assert_equal(padded, expected, what="pad_packed_sequence 還原的序列")
    assert_equal(lengths.cpu(), torch.tensor(LENGTHS), what="pad_packed_sequence 還原的長度")


@pytest.mark.numeric
@pytest.mark.parametrize("source", ["pad_and_pack", "rnn output", "enforce_sorted", "token ids", "one"])
def test_unpack(submission, sequences, make_rnn, rng, source):
    """unpack 還原原來的順序與長度"""
    lengths = {"enforce_sorted": sorted(LENGTHS, reverse=True), "one": [3]}.get(source, LENGTHS)
    given = sequences(lengths)
    expected = [sequence.clone() for sequence in given]
    if source == "enforce_sorted":
        packed = nn.utils.rnn.pack_sequence(given)
    elif source == "token ids":  # 沒有特徵維，而且 0 也是資料，不是補的
        given = [rng.integers(0, 3, (length,)) for length in lengths]
        given[1][-1] = given[3][0] = 0
        expected = [sequence.clone() for sequence in given]
        packed = nn.utils.rnn.pack_sequence(given, enforce_sorted=False)
    elif source == "rnn output":
        rnn = make_rnn("GRU", 2)
        expected = [output.detach() for output in one_by_one(copy.deepcopy(rnn).double(), [s.double() for s in given])]
        packed, _ = rnn(nn.utils.rnn.pack_sequence(given, enforce_sorted=False))
    else:
        packed = submission.pad_and_pack(given)
    result = submission.unpack(packed)
    assert_type(result, list, "unpack 的結果")
    assert_close(result, expected, what="unpack 的結果")


@pytest.mark.numeric
@RNNS
def test_last_outputs(submission, sequences, make_rnn, kind, layers, batch_first):
    """等於每條單獨餵的最後一步"""
    rnn = make_rnn(kind, layers, batch_first)
    truth = copy.deepcopy(rnn).double()
    for lengths in (LENGTHS, [2, 3, 4], [4]):
        given = sequences(lengths)
        expected = torch.stack([o[-1] for o in one_by_one(truth, [s.double() for s in given])]).detach()
        result = submission.last_outputs(rnn, given)
        assert_close(result, expected, what=f"長度 {lengths} 的 last_outputs")


@pytest.mark.gradient
@RNNS
def test_gradient(submission, sequences, make_rnn, rng, kind, layers, batch_first):
    """rnn 的參數與各條序列的梯度"""
    rnn, cotangent = make_rnn(kind, layers, batch_first), rng.normal((len(LENGTHS), H))
    truth, given = copy.deepcopy(rnn).double(), sequences(requires_grad=True)
    wide = [sequence.detach().double().requires_grad_() for sequence in given]
    expected = torch.stack([output[-1] for output in one_by_one(truth, wide)])
    (expected * cotangent).sum().backward()
    result = submission.last_outputs(rnn, given)
    assert_shape(result, expected.shape)
    check(result.requires_grad, "last_outputs 的結果沒有計算圖：用了 detach 或 no_grad", "cut off")
    (result * cotangent).sum().backward()
    for name, parameter in rnn.named_parameters():
        assert_gradient_close(parameter.grad, truth.get_parameter(name).grad, what=f"{name} 的梯度")
    for number, (sequence, expected) in enumerate(zip(given, wide, strict=True)):
        assert_gradient_close(sequence.grad, expected.grad, what=f"第 {number} 條序列的梯度")


@pytest.mark.gradient
def test_round_trip_gradient(submission, sequences, rng):
    """打包再還原，梯度照樣通過"""
    given = sequences(requires_grad=True)
    cotangents = [rng.normal((length, D)) for length in LENGTHS]
    result = submission.unpack(submission.pad_and_pack(given))
    check(all(r.requires_grad for r in result), "還原的序列沒有計算圖：用了 detach 或 no_grad", "cut off")
    sum((r * c).sum() for r, c in zip(result, cotangents, strict=True)).backward()
    for number, (sequence, expected) in enumerate(zip(given, cotangents, strict=True)):
        assert_gradient_close(sequence.grad, expected, what=f"第 {number} 條序列的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("name", ["pad_and_pack", "last_outputs"])
@pytest.mark.parametrize("lengths", [[3, 0, 2], []], ids=["empty sequence", "no sequences"])
def test_empty(submission, sequences, make_rnn, name, lengths):
    """長度為 0 的序列、沒有序列：ValueError"""
    given, rnn = sequences(lengths), make_rnn("GRU")
    with raises(ValueError):
        submission.pad_and_pack(given) if name == "pad_and_pack" else submission.last_outputs(rnn, given)


@pytest.mark.behaviour
def test_untouched(submission, sequences, make_rnn):
    """不改動 sequences 與 rnn"""
    given, rnn = sequences(), make_rnn("LSTM", 2)
    for training in (True, False):
        rnn.train(training)
        with unchanged(given, rnn):
            submission.pad_and_pack(given)
            submission.last_outputs(rnn, given)
        check(not rnn.batch_first, "rnn.batch_first 被改成了 True", "batch_first")


@pytest.mark.speed
def test_speed(submission, reference, rng, device):
    """last_outputs 的速度"""
    # 參考解 1（4 ms）；補齊後取第 T_i − 1 步 1.0；pack_padded 再 pad_packed 1.2 至 1.7；逐個時間點餵整個 batch
    # 2.1 至 2.5。壞的：同長的併成一批 11 至 19，逐條餵 17 至 25。上限是 2.5 與 11 的幾何平均。
    rnn = rng.fill_(nn.GRU(8, 16).to(device))

    def inputs():
        lengths = rng.integers(1, 51, (64,)).tolist()
        return rnn, list(rng.normal((sum(lengths), 8)).split(lengths))

    assert_within_budget(submission.last_outputs, reference.last_outputs, inputs, factor=5, gate=False)
