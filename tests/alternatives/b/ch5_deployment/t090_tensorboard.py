"""Task 090 the modern way: summaries of the second generation, and the graph from torch.export, not from a trace."""

import copy
import os

import torch
from tensorboard.compat.proto import event_pb2, graph_pb2
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def graph_of(model, example):
    program = torch.export.export(copy.deepcopy(model).eval(), (example,))
    graph = graph_pb2.GraphDef()
    for node in program.graph.nodes:
        inputs = [source.name for source in node.all_input_nodes]
        graph.node.add(name=node.name, op=str(node.target), input=inputs)
    return graph


def log_training(log_dir, curves, *, model=None, example=None):
    writer = EventFileWriter(os.fspath(log_dir))

    def write(step, summary):
        writer.add_event(event_pb2.Event(step=step, summary=summary))

    for tag in curves:
        for i, value in enumerate(curves[tag]):
            write(i + 1, scalar_pb(tag, value))
    if model is not None:
        for name, parameter in model.named_parameters():
            write(0, histogram_pb(name, parameter.detach().cpu().numpy()))
        writer.add_event(event_pb2.Event(graph_def=graph_of(model, example).SerializeToString()))
    writer.close()
