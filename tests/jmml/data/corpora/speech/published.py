"""Small speech corpora on disk, in exactly the layouts in which they are published, for tests."""

from __future__ import annotations

from pathlib import Path

from tests.jmml.data.corpora.make import write_wav

# Two sessions, improvised and scripted; turn, label, transcript.
IEMOCAP = {
    "Ses01F_impro01": [
        ("Ses01F_impro01_F000", "ang", "Excuse me."),
        ("Ses01F_impro01_M000", "exc", "Do you have your forms?"),
    ],
    "Ses02M_script01_1": [
        ("Ses02M_script01_1_F000", "neu", "That's out of control."),
        ("Ses02M_script01_1_M000", "sad", "[LAUGHTER] That's out of control!"),
    ],
}


def make_iemocap(root: Path, dialogs: dict[str, list[tuple[str, str, str]]] | None = None) -> Path:
    seed = 0
    for dialog, turns in (dialogs or IEMOCAP).items():
        session = root / f"Session{int(dialog[3:5])}"
        labels = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        said = []
        for number, (turn, label, text) in enumerate(turns):
            start, end = 6.2901 + 4 * number, 8.2357 + 4 * number
            labels += [
                f"[{start:.4f} - {end:.4f}]\t{turn}\t{label}\t[2.5000, 3.5000, 2.0000]",
                "C-E2:\tNeutral;\t()", "C-E3:\tAnger; Frustration;\t()", "C-F1:\tNeutral;\t()",
                "A-E3:\tval 3; act 2; dom  2;\t()", "A-F1:\tval 3; act 2; dom  1;\t()", "",
            ]  # fmt: skip
            said.append(f"{turn} [{start:08.4f}-{end:08.4f}]: {text}")
            write_wav(session / "sentences" / "wav" / dialog / f"{turn}.wav", seed=seed)
            seed += 1
        said.insert(1, f"{dialog}_FXX0 [008.2357-009.0000]: Yeah.")  # a turn that was not cut out
        emotions = session / "dialog" / "EmoEvaluation"
        for place in (
            emotions / "Categorical",
            emotions / "Attribute",
            session / "dialog" / "transcriptions",
        ):
            place.mkdir(parents=True, exist_ok=True)
        (emotions / f"{dialog}.txt").write_text("\n".join(labels), encoding="utf-8")
        (emotions / f"._{dialog}.txt").write_bytes(b"\0\5\26\7 resource fork")
        (emotions / "Categorical" / f"{dialog}_e2_cat.txt").write_text(f"{turns[0][0]} :Neutral state; ()\n")
        (session / "dialog" / "transcriptions" / f"{dialog}.txt").write_text(
            "\n".join(said), encoding="utf-8"
        )
    return root


IMPROV = [
    ("S01A-F01-S-FM01", "A"),
    ("S01A-M01-T-FM01", "N"),
    ("S01H-F02-R-FF01", "H"),
    ("S02S-M02-P-MF01", "S"),
]


def make_msp_improv(root: Path, rows: list[tuple[str, str]] | None = None) -> Path:
    lines = []
    for seed, (name, label) in enumerate(rows or IMPROV):
        scenario, person, kind, _ = name.split("-")
        folder = root / "Audio" / f"session{int(person[1:])}" / scenario / kind
        write_wav(folder / f"MSP-IMPROV-{name}.wav", rate=44100, seed=seed)
        lines += [
            f"UTD-IMPROV-{name}.avi; {label}; A:2.400000; V:3.600000; D:3.000000 ; N:4.200000;",
            "WORKER00000012; Angry; Angry,Frustrated; A:2.000000; V:4.000000; D:3.000000; N:5.000000;",
            "WORKER00000345; Other; Other (bored); A:3.000000; V:3.000000; D:3.000000; N:NaN;",
            "",
        ]
    root.mkdir(parents=True, exist_ok=True)
    (root / "Evalution.txt").write_text("\n".join(lines))
    return root


PODCAST = [
    ("MSP-PODCAST_0001_0008.wav", "N", "30", "Test1"),
    ("MSP-PODCAST_0001_0009.wav", "A", "30", "Test1"),
    ("MSP-PODCAST_0023_0001_02.wav", "H", "127", "Train"),
    ("MSP-PODCAST_0023_0003.wav", "S", "127", "Development"),
]


def make_msp_podcast(root: Path, rows: list[tuple[str, str, str, str]] | None = None) -> Path:
    lines = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    for seed, (name, label, person, part) in enumerate(rows or PODCAST):
        write_wav(root / "Audios" / name, seed=seed)
        lines.append(f"{name},{label},2.2,4.5,3.777778,{person},Male,{part}")
    (root / "Labels").mkdir(parents=True, exist_ok=True)
    (root / "Labels" / "labels_consensus.csv").write_text("\n".join(lines) + "\n")
    (root / "Partitions.txt").write_text("".join(f"{part};{name}\n" for name, _, _, part in rows or PODCAST))
    return root


MELD_CSV = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
)
MELD_FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
# part, dialog, utterance, speaker, emotion, what is said
MELD = [
    ("train", 0, 0, "Chandler", "anger", "also I was the point person on my company\x92s transition"),
    ("train", 0, 1, "Joey", "neutral", "Oh, Ross!"),
    ("dev", 0, 0, "Joey", "joy", "Oh my God, he\u2019s lost it."),
    ("test", 0, 0, "Chandler", "sadness", "Oh, Ross"),
]


def make_meld(
    root: Path, rows: list[tuple[str, int, int, str, str, str]] | None = None, *, audio: bool = True
) -> Path:
    tables: dict[str, list[str]] = {part: [MELD_CSV] for part in MELD_FOLDERS}
    for seed, (part, dialog, number, person, label, text) in enumerate(rows or MELD):
        tables[part].append(
            f'{seed + 1},"{text}","{person}",{label},neutral,{dialog},{number},8,21,"00:16:16,059","00:16:21,731"'
        )
        if audio:
            write_wav(root / MELD_FOLDERS[part] / f"dia{dialog}_utt{number}.wav", rate=48000, seed=seed)
    for part, lines in tables.items():
        place = root / part if part == "train" else root  # as the archives unpack
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{part}_sent_emo.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def _wavs(root: Path, *paths: str, rate: int) -> Path:
    for seed, path in enumerate(paths):
        write_wav(root / path, rate=rate, seed=seed)
    return root


def make_esd(root: Path) -> Path:
    (root / "0001").mkdir(parents=True)
    (root / "0001" / "0001.txt").write_bytes("0001_000001\t打远一看。\t中立\n".encode("utf-16"))
    return _wavs(
        root, "0001/Angry/0001_000351.wav", "0001/Neutral/0001_000001.wav", "0011/Happy/train/0011_000701.wav",
        "0011/Sad/evaluation/0011_001051.wav", rate=16000,
    )  # fmt: skip


def make_subesco(root: Path) -> Path:
    return _wavs(
        root, "F_01_OISHI_S_1_ANGRY_1.wav", "F_01_OISHI_S_10_NEUTRAL_5.wav", "M_01_BASHIR_S_2_SURPRISE_3].wav",
        "M_01_BASHIR_S_1_SAD_2.wav", rate=48000,
    )  # fmt: skip


def make_urdu(root: Path) -> Path:
    return _wavs(
        root, "Angry/SF1_F1_A01.wav", "Neutral/SF1_F63_N091.wav", "Happy/SM5_F10_H010.wav", "Sad/SM5_F2_S002.wav",
        rate=44100,
    )  # fmt: skip
