"""BibTeX entries of the papers to cite for the encoders, as their authors or proceedings give them."""

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
    pages="357--366",
    year="1980",
)
LIBROSA = _entry(
    "inproceedings",
    "mcfee2015librosa",
    title="librosa: Audio and music signal analysis in {Python}",
    author="McFee, Brian and Raffel, Colin and Liang, Dawen and Ellis, Daniel P. W. and McVicar, Matt and "
    "Battenberg, Eric and Nieto, Oriol",
    booktitle="Proceedings of the 14th Python in Science Conference",
    pages="18--25",
    year="2015",
)
ONION = _entry(
    "inproceedings",
    "moscati2022music4all",
    title="{Music4All-Onion}: A large-scale multi-faceted content-centric music recommendation dataset",
    author="Moscati, Marta and Parada-Cabaleiro, Emilia and Deldjoo, Yashar and Zangerle, Eva and Schedl, Markus",
    booktitle="Proceedings of the 31st ACM International Conference on Information and Knowledge Management",
    pages="4339--4343",
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
MUSIC2VEC = _preprint(
    "li2022music2vec",
    "{MAP-Music2Vec}: A simple and effective baseline for self-supervised music audio representation learning",
    "Li, Yizhi and Yuan, Ruibin and Zhang, Ge and Ma, Yinghao and Lin, Chenghua and Chen, Xingran and Ragni, Anton and "
    "Yin, Hanzhi and Hu, Zhijie and He, Haoyu and others",
    "2022",
    "2212.02508",
)
MERT = _entry(
    "inproceedings",
    "li2024mert",
    title="{MERT}: Acoustic music understanding model with large-scale self-supervised training",
    author="Li, Yizhi and Yuan, Ruibin and Zhang, Ge and Ma, Yinghao and Chen, Xingran and Yin, Hanzhi and "
    "Xiao, Chenghao and Lin, Chenghua and Ragni, Anton and Benetos, Emmanouil and Gyenge, Norbert and "
    "Dannenberg, Roger and Liu, Ruibo and Chen, Wenhu and Xia, Gus and Shi, Yemin and Huang, Wenhao and Wang, Zili and "
    "Guo, Yike and Fu, Jie",
    booktitle="International Conference on Learning Representations",
    year="2024",
)
ENCODECMAE = _entry(
    "inproceedings",
    "pepino2025encodecmae",
    title="{EnCodecMAE}: Leveraging neural codecs for universal audio representation learning",
    author="Pepino, Leonardo and Riera, Pablo and Ferrer, Luciana",
    booktitle="Proceedings of Interspeech",
    year="2025",
)
MUSICFM = _entry(
    "inproceedings",
    "won2024foundation",
    title="A foundation model for music informatics",
    author="Won, Minz and Hung, Yun-Ning and Le, Duc",
    booktitle="IEEE International Conference on Acoustics, Speech and Signal Processing",
    pages="1226--1230",
    year="2024",
)
MUQ = _preprint(
    "zhu2025muq",
    "{MuQ}: Self-supervised music representation learning with mel residual vector quantization",
    "Zhu, Haina and Zhou, Yizhi and Chen, Hangting and Yu, Jianwei and Ma, Ziyang and Gu, Rongzhi and Luo, Yi and "
    "Tan, Wei and Chen, Xie",
    "2025",
    "2501.01108",
)
