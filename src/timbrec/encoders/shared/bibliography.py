"""BibTeX entries of the papers to cite for the encoders."""

from __future__ import annotations


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _preprint(key: str, title: str, author: str, year: str, number: str) -> str:
    return _entry("article", key, title=title, author=author, year=year, journal=f"arXiv preprint arXiv:{number}")


MFCC = _entry(
    "article",
    "davis1980comparison",
    title="Comparison of parametric representations for monosyllabic word recognition in continuously spoken sentences",
    author="Davis, Steven and Mermelstein, Paul",
    journal="IEEE Transactions on Acoustics, Speech, and Signal Processing",
    volume="28",
    number="4",
    year="1980",
)
LIBROSA = _entry(
    "inproceedings",
    "mcfee2015librosa",
    title="librosa: Audio and music signal analysis in {Python}",
    author="McFee, Brian and Raffel, Colin and Liang, Dawen and Ellis, Daniel P. W. and others",
    booktitle="Proceedings of the 14th Python in Science Conference",
    year="2015",
)
ONION = _entry(
    "inproceedings",
    "moscati2022music4all",
    title="{Music4All-Onion}: A large-scale multi-faceted content-centric music recommendation dataset",
    author="Moscati, Marta and others",
    booktitle="Proceedings of the 31st ACM International Conference on Information and Knowledge Management",
    year="2022",
)
MUSICNN = _entry(
    "inproceedings",
    "pons2019musicnn",
    title="musicnn: Pre-trained convolutional neural networks for music audio tagging",
    author="Pons, Jordi and Serra, Xavier",
    booktitle="Late-breaking/demo session of ISMIR",
    year="2019",
)
MULE = _entry(
    "inproceedings",
    "mccallum2022supervised",
    title="Supervised and unsupervised learning of audio representations for music understanding",
    author="McCallum, Matthew C. and Korzeniowski, Filip and Oramas, Sergio and Gouyon, Fabien and Ehmann, Andreas F.",
    booktitle="Proceedings of ISMIR",
    year="2022",
)
JUKEBOX = "\n".join(
    [
        _preprint(
            "dhariwal2020jukebox",
            "Jukebox: A generative model for music",
            "Dhariwal, Prafulla and Jun, Heewoo and Payne, Christine and Kim, Jong Wook and Radford, Alec and "
            "Sutskever, Ilya",
            "2020",
            "2005.00341",
        ),
        _entry(
            "inproceedings",
            "castellon2021codified",
            title="Codified audio language modeling learns useful representations for music information retrieval",
            author="Castellon, Rodrigo and Donahue, Chris and Liang, Percy",
            booktitle="Proceedings of ISMIR",
            year="2021",
        ),
    ]
)
MUSIC2VEC = _entry(
    "inproceedings",
    "li2022music2vec",
    title="{MAP-Music2Vec}: A simple and effective baseline for self-supervised music audio representation learning",
    author="Li, Yizhi and others",
    booktitle="Late-breaking/demo session of ISMIR",
    year="2022",
)
MERT = _entry(
    "inproceedings",
    "li2024mert",
    title="{MERT}: Acoustic music understanding model with large-scale self-supervised training",
    author="Li, Yizhi and others",
    booktitle="International Conference on Learning Representations",
    year="2024",
)
ENCODECMAE = _preprint(
    "pepino2023encodecmae",
    "{EnCodecMAE}: Leveraging neural codecs for universal audio representation learning",
    "Pepino, Leonardo and Riera, Pablo and Ferrer, Luciana",
    "2023",
    "2309.07391",
)
MUSICFM = _entry(
    "inproceedings",
    "won2024foundation",
    title="A foundation model for music informatics",
    author="Won, Minz and Hung, Yun-Ning and Le, Duc",
    booktitle="IEEE International Conference on Acoustics, Speech and Signal Processing",
    year="2024",
)
MUQ = _entry(
    "article",
    "zhu2025muq",
    title="{MuQ}: Self-supervised music representation learning with mel residual vector quantization",
    author="Zhu, Haina and others",
    journal="arXiv preprint arXiv:2501.01108",
    year="2025",
)
