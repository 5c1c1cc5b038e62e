"""078 · 使用 TorchServe 部署模型並提供 RESTful API

題目
    TorchServe 收 HTTP 請求，把同時到的湊成一個 batch，交給 Python worker 裡的 handler；模型檔與
    handler 打包成一個封存檔 NAME.mar（就是 zip），註冊後由 POST /predictions/NAME 提供服務。
    TorchServe 已停止維護，它要的 TorchScript 也標為不建議使用（之後是 torch.export）；但「一批請求進、
    一批答案出」的契約，Triton、KServe、Ray Serve 都大同小異，面試問的是這個。

    契約是 worker 對 handler 的要求，做不到就是整批 503，或 worker 根本起不來：

        呼叫    worker 啟動時呼叫一次 initialize(context)；之後每一批呼叫一次 handle(data, context)
        進來    data 是 n 個 dict 的 list，一個請求一個；內容在 "body"（直接 POST）或 "data"（表單欄位）：
                Content-Type 是 application/json 時已經解開成 list 或 dict；是 text 時是 str；
                其他是 bytes 或 bytearray。沒有解開的都是 JSON 文字
        出去    長度也是 n 的 list，第 i 個是第 i 個請求的答案，要能以 JSON 表示
        檔案    handler 檔（這一題就是你這個檔）裡只能定義一個 class，連例外類別或別名都不能再有；
                也不能有 module 層級的 handle 函式，TorchServe 會改呼叫它

    這一題的請求：一筆樣本，沒有 batch 維，是數字的 list（可以是巢狀的），或 {"input": 這樣的 list}。
    一個請求讀不懂，不能連累同一批的其他請求：它自己得到狀態 400。

介面
    ModelHandler()                      不帶參數就能建立
        initialize(context)             載入 TorchScript，位置是
                                        context.system_properties["model_dir"] 這個資料夾裡的
                                        context.manifest["model"]["serializedFile"]；
                                        context.system_properties["gpu_id"] 是 None 就在 CPU 上，
                                        是整數 k 就在 cuda:k 上（0 也是 GPU）
        preprocess(data)                n 個請求 → 一個 float32 的 batch；讀不懂的怎麼告訴 handle 由你決定
        inference(x)                    batch → 模型的輸出，模型在 eval 模式，不記錄梯度
        postprocess(y)                  輸出 → 每一筆一個 list
        handle(data, context) -> list   依序做這三步；三步之間傳什麼由你決定
                                        （子類別覆寫其中一步，會用 super() 呼叫你的那一步）。
                                        讀不懂的第 i 個請求：呼叫
                                        context.set_response_status(400, phrase, idx=i)，答案是一個說明
                                        原因的 JSON 物件，例如 {"error": "..."}。
                                        phrase 只能有 ASCII 字元：TorchServe 把字元數當成位元組數送出，
                                        中文會讓伺服器收不完回應，整批一直等到逾時
    build_archive(name, version, serialized_file, handler_file, export_path) -> Path
        在 export_path 這個已經存在的資料夾寫出 NAME.mar，傳回它的 Path。最上層是 serialized_file 與
        handler_file 兩個檔（檔名照舊），以及 MAR-INF/MANIFEST.json：
            {"model": {"modelName": name, "modelVersion": version,
                       "handler": handler 的檔名, "serializedFile": 模型檔的檔名}}
        路徑可能是 str 或 Path，兩個檔可能在不同的資料夾。
        可以多放別的鍵，例如 "runtime": "python"。

評分
    形狀  n 個請求得到 n 個答案的 list；batch 是 (n, 樣本的形狀)，巢狀的 list 不攤平
    數值  第 i 個答案是 manifest 所指的模型對第 i 筆樣本的輸出；內容是 bytes、bytearray、str、list、dict，
          在 body 或 data，都一樣；樣本全是整數也一樣
    梯度  模型執行時 grad mode 是關的
    行為  一批只呼叫模型一次；模型在 eval 模式；模型只在 initialize 時載入；
          不是 JSON、不是數字的 list（包括單獨一個數字、長短不齊、沒有 "input" 的 dict）、沒有內容的請求
          各得 400 與 JSON 物件，其他請求照常而且狀態不動，整批都讀不懂也一樣；phrase 是 ASCII；
          handle 呼叫 self 的 preprocess、inference、postprocess，子類別只覆寫一步就有效；
          這個檔只定義一個 class、沒有 module 層級的 handle；
          NAME.mar 的位置、MANIFEST.json 的四個值、兩個檔的內容；export_path 裡沒有寫出別的；
          解開封存檔後，handler 照著裡面的 manifest 就能服務
    評分不需要 TorchServe。想看真的伺服器用你的封存檔回答請求：nox -s serve（需要 Java）

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model, handler = Path(folder, "linear.pt"), Path(folder, "my_handler.py")
    ...     torch.jit.script(nn.Linear(3, 2)).save(str(model))
    ...     _ = handler.write_text("class ModelHandler: ...")
    ...     path = build_archive("scores", "1.0", model, handler, folder)
    ...     print(path.name, sorted(zipfile.ZipFile(path).namelist()))
    scores.mar ['MAR-INF/MANIFEST.json', 'linear.pt', 'my_handler.py']

面試追問
    1. 兩個請求都讀得懂，但一個的特徵數不對，torch.stack 或模型就會拋出例外。怎麼只讓它失敗？
    2. batch_size 與 max_batch_delay 怎麼影響延遲與吞吐量？worker 要開幾個，GPU 記憶體夠嗎？
    3. 不用 TorchServe 了，這個服務搬到 Triton 或 FastAPI，哪些部分可以照搬？
"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class ModelHandler:
    def initialize(self, context: Any) -> None:
        """載入一次 model_dir 裡 manifest 所指的 TorchScript，放到 gpu_id 所指的裝置上。"""
        raise NotImplementedError("TODO 078")

    def preprocess(self, data: list[dict]) -> Any:
        """n 個請求 → 一個 batch (讀得懂的筆數, ...)，float32，與模型在同一個裝置。"""
        raise NotImplementedError("TODO 078")

    def inference(self, x: Any) -> Any:
        """batch (B, ...) → 模型的輸出 (B, ...)。"""
        raise NotImplementedError("TODO 078")

    def postprocess(self, y: Any) -> Any:
        """輸出 (B, ...) → 每一筆一個 JSON 能表示的 list。"""
        raise NotImplementedError("TODO 078")

    def handle(self, data: list[dict], context: Any) -> list:
        """n 個請求 → n 個答案，順序與 data 相同。"""
        raise NotImplementedError("TODO 078")


def build_archive(
    name: str, version: str, serialized_file: str | Path, handler_file: str | Path, export_path: str | Path
) -> Path:
    """把 TorchScript 檔與 handler 檔打包成 export_path/NAME.mar，傳回它的 Path。"""
    raise NotImplementedError("TODO 078")
