"""087 · 模型的版本控制

題目
    寫一個放在磁碟上的模型倉庫：每次 save 給一個新的版本號，存過的版本永遠不變，load 取回指定的或最新的版本。
    它要經得起三件事：

        好幾個行程同時 save 同一個名稱   「看最大的號碼再加一」與「寫檔」之間，別的行程可能也拿到同一個號碼
        存到一半失敗或行程被 kill         讀的人只能看到完整的版本，看不到半個
        檔案壞了（磁碟、傳輸、被改過）    載入前先比對 SHA-256；pickle 一旦開始讀，壞的內容就可能已經被執行

    版本號是整數，不是文字："10" 以文字排序排在 "9" 前面。

介面
    ModelRegistry(root)
        root 是 str 或 Path；不存在就建立。同一個 root 的另一個 ModelRegistry（別的行程也是）看得到同樣的內容。
    save(name, state_dict, *, metadata=None) -> int
        存成新的版本，傳回版本號：1、2、3 …，每個 name 各自計數，用過的號碼不再用（失敗的 save 可以留下空號）。
        state_dict 的值是張量；metadata 是 json.dumps 得了的 dict。
        失敗時讓例外傳出去（型別不限），不留下版本；被 kill 的 save 也不留下版本，也不擋住之後的 save。
    load(name, version="latest") -> (state_dict, metadata)
        version 是整數，或 "latest"（號碼最大的）。張量在 CPU。save 時沒給 metadata，就傳回 {} 或 None。
        檔案被改過：ValueError，而且在 torch.load（或任何 unpickle）之前就要發現。
    versions(name) -> list[int]
        現有的版本號，由小到大。沒有存過的 name：[] 或 KeyError 都可以。
    verify(name, version) -> bool
        那個版本的檔案是否和存的時候一樣。
    load 與 verify 的 name 或 version 不存在：KeyError。
    name 會跑到 root 外面（例如 "../x"、絕對路徑）：每個方法都是 ValueError。
    name 由英文字母或數字開頭，其餘是英文字母、數字與 - _ . 時一定要能用；其他的不限。

評分
    數值  load 取回的張量（值、dtype、形狀）與 metadata 和存的時候一樣，之後再訓練（存的或取回的）也不影響；
          超過 9 個版本時，latest 是號碼最大的；存了新版本，舊版本不變
    行為  版本號是 1、2、3 …，各名稱分開計；4 個行程同時 save，號碼都不同、內容都在；
          save 失敗（狀態存不了、空間不足）或寫到一半被殺時沒有新版本，之後照常 save；
          最大的檔案有一個 byte 被改過：verify 傳回 False，load 拋出 ValueError 而且還沒有 unpickle；
          不存在的是 KeyError；跑到 root 外的 name 是 ValueError，root 外面也沒有多出檔案

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     registry = ModelRegistry(folder)
    ...     numbers = [registry.save("net", {"w": torch.full((2,), float(i))}) for i in range(3)]
    ...     state, metadata = registry.load("net")
    ...     numbers, registry.versions("net"), registry.verify("net", 2), state["w"]
    ([1, 2, 3], [1, 2, 3], True, tensor([2., 2.]))

面試追問
    1. SHA-256 能發現檔案損壞；能不能防止別人惡意替換？還缺什麼（簽章、safetensors）？
    2. os.rename、O_EXCL、flock 各怎麼解決搶號碼的問題？在 NFS 或 S3 上還成立嗎？
    3. 每個版本 50 GB，而相鄰的版本大多相同，怎麼省空間（content-addressed storage）？
"""

import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor


class ModelRegistry:
    """磁碟上的模型倉庫，版本只增不改。"""

    def __init__(self, root: str | Path) -> None:
        raise NotImplementedError("TODO 087")

    def save(self, name: str, state_dict: dict[str, Tensor], *, metadata: dict | None = None) -> int:
        """存成新的版本，傳回版本號。"""
        raise NotImplementedError("TODO 087")

    def load(self, name: str, version: int | str = "latest") -> tuple[dict[str, Tensor], dict | None]:
        """(state_dict, metadata)；先確認檔案沒被改過才讀。"""
        raise NotImplementedError("TODO 087")

    def versions(self, name: str) -> list[int]:
        """現有的版本號，由小到大。"""
        raise NotImplementedError("TODO 087")

    def verify(self, name: str, version: int) -> bool:
        """檔案是否和存的時候一樣。"""
        raise NotImplementedError("TODO 087")
