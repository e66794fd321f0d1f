export function startData() {}
