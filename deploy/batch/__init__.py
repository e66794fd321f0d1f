"""Score a folder of Parquet files, on the cores of one machine or on a Ray cluster.

One file of the source becomes one file of the destination with the same name. The modules, from the command down:

    command     the exit codes and the last sentence     executor    where chunks of files run:
    arguments   flags to a job                           processes   on the cores of this machine, or
    run         one run, from listing to summary         cluster     on Ray
    job         the request that every file answers      scoring     one file
    claim       one run at a destination at a time       columns     Parquet columns to arrays and back
    receipts    which files are finished, their sums     exact       sums that do not depend on order
    summary     the loss of all rows                     storage     folders on any filesystem
    errors      one sentence for each error
"""
