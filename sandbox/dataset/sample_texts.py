"""Invented names and texts of the two customers: people, rooms, chat messages, sentences and summaries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SampleTexts:
    """Rooms and people of a customer, and the texts that they write and say."""

    rooms: tuple[str, ...]
    hosts: tuple[str, ...]
    moderators: tuple[str, ...]
    """Names with a colon: transcripts separate name and text with a colon too."""
    guests: tuple[str, ...]
    chat: tuple[str, ...]
    speech: tuple[str, ...]
    """In English: 100ms transcribes no other language."""
    bullets: tuple[str, ...]
    paragraphs: tuple[str, ...]


SHARED_CHAT = (
    "👋",
    "👍🏽",
    "thanks!",
    "Can everybody hear me?",
    "one moment, my camera is off",
    'It said "try again", so I did.',
    "Two things:\n1. the link\n2. the date",
    "¡Muchas gracias a todos!",
    "धन्यवाद, समझ आ गया",
    "شكرا، كل شيء واضح",
    "好的，明白了，谢谢。",
    "ok, +1",
    "back in 5 min 🫖",
    "Здравствуйте, слышно хорошо",
    "https://example.org/slides/page?id=7&lang=en",
)

AURORA = SampleTexts(
    rooms=(
        "astronomy-evening",
        "fractions-made-friendly",
        "harbour-history",
        "poetry-aloud",
        "chemistry-in-the-kitchen",
        "first-steps-in-norn",
        "maps-and-compasses",
        "choir-warm-up",
        "robotics-club",
        "philosophy-for-nine-year-olds",
        "essay-clinic",
        "night-sky-q-and-a",
    ),
    hosts=("Núria Vallfosca", "Øyvind Stjernlund", "आरोही मेघसागर", "Tamsin Quillfeather"),
    moderators=("Dr. Plum: Physics", "Team 7:back row", "Class 4b: left side"),
    guests=(
        "Łucja Wrzosowska",
        "Björk-Anneli Ångkvist",
        "देव तारापथ",
        "林晓溪",
        "周若海",
        "نور الفجرية",
        "Okonjo-Bellweather, Ife",
        'Jo "the Comet" Marrow',
        "Zoë Brontsema",
        "🦊 Foxglove",
        "@linnea",
        "Ștefan Luceafărescu",
    ),
    chat=(
        "Which page are we on?",
        "Page forty, the picture with the two moons",
        "I got 3/8, is that right?",
        "Could you share the slide again, please?",
        "The homework is due on Friday, right?",
        "My answer: x = 12, y = 5",
        "That comet picture is beautiful",
        "Is there a recording of last week, too?",
        "I had to leave early, what did I miss?",
        "Group two goes next",
    ),
    speech=(
        "Good evening, and welcome to the observatory.",
        "Please open your notebooks at page forty.",
        "Who can tell me why the second moon looks smaller?",
        "Because it is farther away from us.",
        "Yes: farther away, and a little darker too.",
        "Let us draw both orbits on one sheet.",
        "I am not sure that I understand the scale.",
        "One centimetre stands for one million kilometres.",
        "Then my sheet is too small.",
        "That is exactly the point of this exercise.",
        "We will compare the drawings in five minutes.",
        "Are there any questions before we go on?",
        "Can we see it without a telescope?",
        "On a clear night you can, just after ten.",
    ),
    bullets=(
        "Distances in the model system were compared",
        "Two orbits were drawn to scale",
        "Everybody brings a drawing on Friday",
        "The quiz covers pages 38 to 44",
        "Question about tides is left for the next session",
        'The term "apogee" was introduced',
    ),
    paragraphs=(
        "The class compared two invented moons and found out why scale matters.",
        "After a short recap, the group worked in pairs and presented its drawings.",
    ),
)

BOREALIS = SampleTexts(
    rooms=(
        "knee-school",
        "sleep-consultation",
        "diabetes-group",
        "back-pain-monday",
        "night-shift-handover",
        "nutrition-open-hour",
        "breathing-course",
        "post-surgery-check",
        "hearing-aid-fitting",
        "family-round",
        "pharmacy-desk",
        "travel-vaccinations",
    ),
    hosts=("Dr. Solvår Tindevik", "Dr. Amaru Quispefeld", "डॉ. इरा निशांतिका", "Dr. Perpetua Lindqvarn"),
    moderators=("Desk: second floor", "Nurse 12:nights", "Interpreter: FR/EN"),
    guests=(
        "Héloïse Marchebrume",
        "Wojciech Żółtopiór",
        "سليم القمري",
        "هدى ابنة النجم",
        "沈若澜",
        "कबीर सरोवर",
        "O'Dunmore-Büchel, Siân",
        "Anaïs Corbeterre",
        "Guest 1",
        "Ørjan Fjellhavn",
        "Мила Звёздная",
        "-anonymous-",
    ),
    chat=(
        "The knee is much better since Tuesday",
        "Which exercise comes after the stretching?",
        "Three times ten, with a short break",
        "I could not find the leaflet, can you send it again?",
        "Is it normal that it cracks?",
        "Dose: 1-0-1, after meals",
        "My next appointment is on the 24th",
        "Could we switch off the background noise?",
        "The brace arrived, size M",
        "Pain today: 2 of 10",
    ),
    speech=(
        "Good morning, how did you sleep?",
        "Better than last week, thank you.",
        "Did you do the exercises every day?",
        "Every day: ten minutes in the morning.",
        "Very good, then we can move on to step two.",
        "Please stand next to a chair.",
        "Bend the knee slowly, and stop when it hurts.",
        "It hurts a little at the very end.",
        "Then go only halfway for now.",
        "How often should I repeat it?",
        "Three times ten, with a break in between.",
        "Please write down how it feels afterwards.",
        "We will look at your notes together next time.",
        "Do you have any other questions?",
    ),
    bullets=(
        "Exercises of step one were done daily",
        "Step two: bend the knee halfway, three times ten",
        "Keep a short diary of pain after each exercise",
        "Next appointment in ten days",
        "Bring the brace to the next visit",
        'The leaflet "Standing up again" was sent',
    ),
    paragraphs=(
        "The invented patient reports less pain and moves on to the second step.",
        "The group exchanged experience with the exercises and agreed on a diary.",
    ),
)
