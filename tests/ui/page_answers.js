// Runs the cases of page_cases.json through the page's functions; the tests put them before this.
function answer(cases) {
  return {
    maps: cases.maps.map(({ shape: [height, width], boxes, checks }) => {
      const values = new Uint16Array(width * height);
      for (const [top, left, bottom, right, steps] of boxes) {
        for (let y = top; y < bottom; y++) values.fill(steps, y * width + left, y * width + right);
      }
      const map = { values, width, height };
      const score = values.reduce((a, b) => Math.max(a, b), 0);
      return checks.map(({ threshold }) => {
        const regions = findRegions(map, stepsOf(threshold));
        const defective = isDefective({ score }, threshold);
        return { threshold, defective, sentence: describe(score, regions), regions };
      });
    }),
    costs: cases.costs.map((scores) => costOf({ scores, ...scores }, scores.threshold)),
    weak: cases.costs.map((scores) => findsFew({ scores, ...scores }, scores.threshold)),
    multiples: cases.multiples.map(([steps]) => formatMultiple(steps)),
    percents: cases.percents.map(([fraction]) => formatPercent(fraction)),
    colours: cases.colours.map(([steps]) => overlayAt("heat", multipleOf(steps))),
    histograms: cases.histograms.map(({ groups }) => {
      const { first, last, bins } = binScores(groups);
      const filled = bins.map((bin, i) => [i, bin]).filter(([, bin]) => bin.some(Boolean));
      return { groups, first, last, bins: Object.fromEntries(filled) };
    }),
  };
}
