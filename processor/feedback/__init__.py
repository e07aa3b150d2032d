"""From answers to outcomes: what is known of each inference, and since which batch.

What is offered here works on one event at a time, and neither needs Spark nor starts it.
"""

from processor.feedback.answer import Answer, Served, attribute, read, served
from processor.feedback.eventwise import Outcome, known, outcome
from processor.feedback.question import Question, question_of, questions

__all__ = [
    "Answer",
    "Outcome",
    "Question",
    "Served",
    "attribute",
    "known",
    "outcome",
    "question_of",
    "questions",
    "read",
    "served",
]
