"""The purifier in a plain PyTorch loop without video: points on a plane, some of them mislabelled.

python examples/purify_any_loop.py
"""

import tempfile

import torch
from torch import nn

from sciu.purification import Auto, Purifier

torch.manual_seed(0)
N, K, EPOCHS = 2000, 3, 20
truth = torch.randint(0, K, (N,))
points = torch.randn(N, 2) * 0.5 + torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])[truth]
given = torch.where(torch.rand(N) < 0.2, (truth + 1) % K, truth)  # a fifth of the labels is wrong

network = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, K))
optimizer = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.9)

with tempfile.TemporaryDirectory() as folder, Purifier.create(
    folder, labels=given.numpy(), num_classes=K, policy=Auto.for_epochs(EPOCHS)
) as purifier:  # fmt: skip
    index = purifier.index()
    for _ in range(EPOCHS):
        labels = torch.from_numpy(index.labels).long()
        pull, average = (torch.from_numpy(index.targets[name]).float() for name in ("pull", "average"))
        for ids in torch.from_numpy(index.ids)[torch.randperm(len(index.ids))].split(64):
            logits = network(points[ids])
            probs = logits.softmax(dim=1)
            average_now = 0.7 * average[ids] + 0.3 * probs.detach()  # of each clip, over the epochs
            pulls = torch.log(1 - (average_now * probs).sum(dim=1).clamp_max(0.9999))
            loss = (nn.functional.cross_entropy(logits, labels[ids], reduction="none") + pull[ids] * pulls).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            purifier.record(ids, torch.ones(len(ids)), probs.detach())
        index = purifier.end_epoch()
        print(f"epoch {index.epoch - 1:2}: {len(index.pruned):3} pruned, {len(index.corrected):3} corrected")
    kept = torch.from_numpy(index.ids)
    right = (torch.from_numpy(index.labels)[kept] == truth[kept]).float().mean()
    print(f"labels that are right: {(given == truth).float().mean():.1%} before, {right:.1%} of {len(kept)} after")
