# The node-wise step of a de-sparsified lasso with glmnet itself: every column on the others.
# Rscript nodewise.R FILE n d: FILE holds n x d float64 in column order. Prints seconds as JSON:
# paths of all columns; their 10-fold cross-validation on 100 pooled penalties.
arguments <- commandArgs(TRUE)
n <- as.integer(arguments[2]); d <- as.integer(arguments[3])
x <- matrix(readBin(arguments[1], "double", n * d), n, d)
suppressPackageStartupMessages(library(glmnet))
set.seed(1)
fold <- sample(rep(1:10, length.out = n))
clock <- function(expression) { before <- proc.time(); force(expression); sum((proc.time() - before)[1:2]) }
paths <- clock(fits <- lapply(1:d, function(j) glmnet(x[, -j], x[, j])))
pooled <- unlist(lapply(fits, function(fit) fit$lambda))
grid <- sort(quantile(pooled, seq(0, 1, length.out = 100)), decreasing = TRUE)
cross <- clock(for (j in 1:d) for (k in 1:10) {
  fit <- glmnet(x[fold != k, -j], x[fold != k, j], lambda = grid)
  error <- colMeans((x[fold == k, j] - predict(fit, x[fold == k, -j, drop = FALSE]))^2)
})
cat(sprintf('{"paths_s": %.4f, "cross_validation_s": %.4f, "glmnet": "%s"}\n', paths, cross, packageVersion("glmnet")))
