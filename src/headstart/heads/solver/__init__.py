"""The solver of linear heads: penalised softmax regression by Newton steps, exact whatever the shape of the features.

`scaler` brings columns to one scale, `design` makes the matrix that is solved on, `rows` its products, `softmax` and
`curvature` the objective and its second derivative, `blocks` the threads; `scale` fits a temperature.
"""
