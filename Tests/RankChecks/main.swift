print("rank-checks")
