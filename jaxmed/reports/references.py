"""Papers behind the methods of an analysis, as they are cited."""

import dataclasses
from collections.abc import Mapping

__all__ = ["BY_METHOD", "REFERENCES", "Reference"]


@dataclasses.dataclass(frozen=True)
class Reference:
    """One paper.

    Attributes:
      short: as in a sentence, "He 2026".
      text: as in a list of references.
      link: address; empty where none is known.
    """

    short: str
    text: str
    link: str = ""


def _doi(identifier: str) -> str:
    return f"https://doi.org/{identifier}"


REFERENCES: Mapping[str, Reference] = {
    "he": Reference(
        "He 2026",
        "Z. He (2026). Learning the Optimal Composite Mediator: Closed-Form Solution and "
        "Inference. arXiv:2603.13762.",
        "https://arxiv.org/abs/2603.13762",
    ),
    "belloni": Reference(
        "Belloni, Chernozhukov and Hansen 2014",
        "A. Belloni, V. Chernozhukov and C. Hansen (2014). Inference on Treatment Effects after "
        "Selection among High-Dimensional Controls. Review of Economic Studies 81, 608-650.",
        _doi("10.1093/restud/rdt044"),
    ),
    "zhang_zhang": Reference(
        "Zhang and Zhang 2014",
        "C.-H. Zhang and S. S. Zhang (2014). Confidence intervals for low dimensional parameters "
        "in high dimensional linear models. Journal of the Royal Statistical Society B 76, "
        "217-242.",
        _doi("10.1111/rssb.12026"),
    ),
    "mackinnon_white": Reference(
        "MacKinnon and White 1985",
        "J. G. MacKinnon and H. White (1985). Some heteroskedasticity-consistent covariance matrix "
        "estimators with improved finite sample properties. Journal of Econometrics 29, 305-325.",
        _doi("10.1016/0304-4076(85)90158-7"),
    ),
    "chernozhukov": Reference(
        "Chernozhukov et al. 2018",
        "V. Chernozhukov, D. Chetverikov, M. Demirer, E. Duflo, C. Hansen, W. Newey and J. Robins "
        "(2018). Double/debiased machine learning for treatment and structural parameters. The "
        "Econometrics Journal 21, C1-C68.",
        _doi("10.1111/ectj.12097"),
    ),
    "benjamini": Reference(
        "Benjamini and Hochberg 1995",
        "Y. Benjamini and Y. Hochberg (1995). Controlling the False Discovery Rate: A Practical "
        "and Powerful Approach to Multiple Testing. Journal of the Royal Statistical Society B 57, "
        "289-300.",
        _doi("10.1111/j.2517-6161.1995.tb02031.x"),
    ),
    "fieller": Reference(
        "Fieller 1954",
        "E. C. Fieller (1954). Some Problems in Interval Estimation. Journal of the Royal "
        "Statistical Society B 16, 175-185.",
        _doi("10.1111/j.2517-6161.1954.tb00159.x"),
    ),
    "chen": Reference(
        "Chen et al. 2018",
        "O. Y. Chen et al. (2018). High-dimensional multivariate mediation with application to "
        "neuroimaging data. Biostatistics 19, 121-136.",
        _doi("10.1093/biostatistics/kxx027"),
    ),
    "hima": Reference(
        "Zhang et al. 2016",
        "H. Zhang et al. (2016). Estimating and Testing High-dimensional Mediation Effects in "
        "Epigenetic Studies. Bioinformatics 32, 3150-3154.",
        _doi("10.1093/bioinformatics/btw351"),
    ),
    "hima2": Reference(
        "Perera et al. 2022",
        "C. Perera et al. (2022). HIMA2: high-dimensional mediation analysis and its application "
        "in epigenome-wide DNA methylation data. BMC Bioinformatics 23, 296.",
        _doi("10.1186/s12859-022-04748-1"),
    ),
    "ehima": Reference("Bai et al. 2024", "Bai et al. (2024), as in HIMA 2.3.3 (hima_efficient)."),
    "hdma": Reference(
        "Gao et al. 2019",
        "Y. Gao et al. (2019). Frontiers in Genetics 10, 1195.",
        _doi("10.3389/fgene.2019.01195"),
    ),
    "hilma": Reference(
        "Zhou, Wang and Zhao 2020",
        "R. R. Zhou, L. Wang and S. D. Zhao (2020). Estimation and inference for the indirect "
        "effect in high-dimensional linear mediation models. Biometrika 107, 573-589.",
        _doi("10.1093/biomet/asaa016"),
    ),
    "guo": Reference(
        "Guo et al. 2022",
        "Guo et al. (2022). Journal of the American Statistical Association 117; (2023), Journal "
        "of Econometrics 235.",
    ),
    "plsem": Reference(
        "Cai et al. 2022",
        "Cai, Zhu, Huang and Ghosh (2022). Computational Statistics and Data Analysis 174, 107501.",
        _doi("10.1016/j.csda.2022.107501"),
    ),
    "medfix": Reference("Zhang 2021", "Zhang (2021), as in hdmed 1.0.1 (mediate_medfix)."),
    "pathway_lasso": Reference(
        "Zhao and Luo 2022", "Zhao and Luo (2022), as in hdmed 1.0.1 (mediate_plasso)."
    ),
    "pcma": Reference(
        "Huang and Pan 2016",
        "Y.-T. Huang and W.-C. Pan (2016). Hypothesis test of mediation effect in causal mediation "
        "model with high-dimensional continuous mediators. Biometrics 72, 402-413.",
        _doi("10.1111/biom.12421"),
    ),
    "spcma": Reference(
        "Zhao, Lindquist and Caffo 2020",
        "Y. Zhao, M. A. Lindquist and B. S. Caffo (2020). Sparse principal component based "
        "high-dimensional mediation analysis. Computational Statistics and Data Analysis 142, "
        "106835.",
        _doi("10.1016/j.csda.2019.106835"),
    ),
    "meddic": Reference("Zhang, Yang and Yang 2022", "Zhang, Yang and Yang (2022), MedDiC."),
    "gahmn": Reference(
        "Zhang et al. 2026",
        "J. Zhang, Y. Lin, R. Zhang, X. Song and H. Ning (2026). GAHMN: A Generative Approach for "
        "High-Dimensional Mediation Analysis. AAAI Conference on Artificial Intelligence 40, "
        "28247.",
    ),
}

# Method of effects or composites -> keys of the papers it is from; a method without an entry has
# no paper of its own.
BY_METHOD: Mapping[str, tuple[str, ...]] = {
    "maxie": ("he",),
    "maxcor": ("he",),
    "reg_outcome": ("he",),
    "reg_exposure": ("he",),
    "numerical": ("he",),
    "lasso_exposure": ("he",),
    "lasso_outcome": ("he",),
    "directions": ("chen",),
    "double_selection": ("belloni", "mackinnon_white"),
    "double_selection_zz": ("belloni", "zhang_zhang", "mackinnon_white"),
} | {
    name: (name,)
    for name in (
        "hima",
        "hima2",
        "ehima",
        "hdma",
        "hilma",
        "guo",
        "plsem",
        "medfix",
        "pathway_lasso",
        "pcma",
        "spcma",
        "meddic",
        "gahmn",
    )
}
