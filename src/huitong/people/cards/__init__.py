"""The electronic health card (电子健康卡): its algorithm, its keys, cards, the codes people show, and their use."""
