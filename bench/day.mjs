export const drawDay = async () => {}
