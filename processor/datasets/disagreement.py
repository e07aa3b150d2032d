"""How far those who answered the same request disagree: each of them has a voice. Pure.

A committee is an array of members, one for each model version that answered: model_name,
model_version, pred_label and class_probs, the last as an array of entries. Who is alone agrees.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

COMMITTEE = "committee"
"""The column of an inference that holds what was said of its request; null: it names none."""


def entropy(shares: Column) -> Column:
    """-Σ p ln p of an array (nats)."""
    # The logarithm of 0 is null, and 0 is what p ln p comes to there.
    terms = F.transform(shares, lambda p: F.coalesce(p * F.log(p), F.lit(0.0)))
    return F.aggregate(terms, F.lit(0.0), lambda so_far, term: so_far - term)


def vote_entropy(committee: Column) -> Column:
    """The entropy of the members' predictions, each a vote (nats); null where nobody predicts.

    Source: I. Dagan, S. Engelson, Committee-based sampling (1995); B. Settles, Active Learning
    Literature Survey (2009), 3.2, here not divided by the logarithm of the number of members.
    """
    votes = F.filter(committee["pred_label"], lambda vote: vote.isNotNull())

    def share(label: Column) -> Column:
        return F.size(F.filter(votes, lambda vote: vote == label)) / F.size(votes)

    labels = F.array_sort(F.array_distinct(votes))
    return F.when(F.size(votes) > 0, entropy(F.transform(labels, share)))


def bald(committee: Column) -> Column:
    """The entropy of the mean probabilities less the mean of the members' entropies (nats).

    What knowing the right member would tell of the label. A class that a member does not name has
    the probability 0 there; null where nobody says probabilities.
    Source: N. Houlsby et al., Bayesian Active Learning for Classification and Preference Learning
    (2011), equation 2.
    """
    told = F.filter(committee["class_probs"], lambda entries: F.size(entries) > 0)
    members = F.size(told)
    names = F.array_distinct(F.flatten(F.transform(told, lambda each: each["key"])))

    def mean(name: Column) -> Column:
        given = F.transform(told, lambda each: F.try_element_at(F.map_from_entries(each), name))
        return _sum(F.transform(given, lambda p: F.coalesce(p, F.lit(0.0)))) / members

    apart = F.transform(told, lambda each: entropy(each["value"]))
    found = entropy(F.transform(F.array_sort(names), mean)) - _sum(apart) / members
    return F.when(members > 0, F.greatest(found, F.lit(0.0)))  # rounding may go below


def _sum(numbers: Column) -> Column:
    return F.aggregate(numbers, F.lit(0.0), lambda so_far, each: so_far + each)
