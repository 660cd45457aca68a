print("mergevq")
