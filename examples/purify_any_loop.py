"""The purifier in a plain PyTorch loop that has nothing to do with video: points on a plane, some of them mislabelled.

python examples/purify_any_loop.py
"""

import tempfile

import torch
from torch import nn

from sciu.purification import Purifier, Sciu

torch.manual_seed(0)
N, K = 2000, 3
truth = torch.randint(0, K, (N,))
points = torch.randn(N, 2) * 0.5 + torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])[truth]
given = torch.where(torch.rand(N) < 0.2, (truth + 1) % K, truth)  # a fifth of the labels is wrong

body, classify, weigh = nn.Sequential(nn.Linear(2, 64), nn.ReLU()), nn.Linear(64, K), nn.Linear(64, 1)
parameters = [*body.parameters(), *classify.parameters(), *weigh.parameters()]
optimizer = torch.optim.SGD(parameters, lr=0.2, momentum=0.9)

policy = Sciu(prune_below="auto", correct_above=0.3, window=3, warmup=5)
with tempfile.TemporaryDirectory() as folder, Purifier.create(
    folder, labels=given.numpy(), num_classes=K, policy=policy
) as purifier:  # fmt: skip
    index = purifier.index()
    for _ in range(15):
        labels = torch.from_numpy(index.labels).long()
        for ids in torch.from_numpy(index.ids)[torch.randperm(len(index.ids))].split(64):
            embedding = body(points[ids])
            logits, weight = classify(embedding), torch.sigmoid(weigh(embedding))
            loss = nn.functional.cross_entropy(weight * logits, labels[ids])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            purifier.record(ids, weight.detach().squeeze(1), logits.detach().softmax(dim=1))
        index = purifier.end_epoch()
        print(f"epoch {index.epoch - 1:2}: {len(index.pruned):3} pruned, {len(index.corrected):3} corrected")
    kept = torch.from_numpy(index.ids)
    right = (torch.from_numpy(index.labels)[kept] == truth[kept]).float().mean()
    print(f"labels that are right: {(given == truth).float().mean():.1%} before, {right:.1%} of {len(kept)} after")
