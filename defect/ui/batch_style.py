"""CSS of the batches (summary card, progress, histogram) and of the API tab."""

BATCH_CSS = """
.batch-card {border: 1px solid var(--border-color-primary); border-radius: 10px;
  padding: 14px 16px; background: var(--block-background-fill); color: var(--body-text-color);
  min-height: 62px;}
.batch-card.problem {border-left: 6px solid #b45309;}
.dark .batch-card.problem {border-left-color: #fbbf24;}
.batch-card .counts {font-size: 1.15rem; font-weight: 700;}
.batch-card .bad {color: var(--bad);}
.batch-card .good {color: var(--good);}
.batch-card span.problem {color: #b45309;}
.dark .batch-card span.problem {color: #fbbf24;}
.batch-card .note {margin-top: 3px; font-size: .88rem; color: var(--body-text-color-subdued);}
.batch-card progress {display: block; width: 100%; height: 10px; margin-top: 10px; border: 0;
  appearance: none; border-radius: 5px; overflow: hidden;
  background: color-mix(in srgb, var(--body-text-color) 14%, transparent);}
.batch-card progress::-webkit-progress-bar {background: transparent;}
.batch-card progress::-webkit-progress-value {background: var(--primary-600);}
.batch-card progress::-moz-progress-bar {background: var(--primary-600);}
.batch-card svg.scores {display: block; width: 100%; height: auto; margin-top: 12px;
  max-width: 520px;}
.scores text {fill: var(--body-text-color-subdued); font-size: 11px;}
.scores .ground {stroke: var(--border-color-primary);}
.scores line.limit {stroke: var(--body-text-color); stroke-width: 1.5; stroke-dasharray: 4 3;}
.scores text.limit {fill: var(--body-text-color); font-weight: 600;}
.scores .over {fill: var(--bad);}
.scores .under {fill: var(--good);}
#batch-summary, #steel-batch-summary {padding: 0 !important;}
:is(#batch-gallery, #steel-batch-gallery) .thumbnail-item {display: flex;
  flex-direction: column; height: auto; aspect-ratio: auto;}
:is(#batch-gallery, #steel-batch-gallery) .thumbnail-item img {aspect-ratio: 1; height: auto;
  min-height: 0;}
:is(#batch-gallery, #steel-batch-gallery) .caption-label {position: static; max-width: 100%;
  border-radius: 0; text-align: center; white-space: normal; font-size: .74rem; line-height: 1.2;
  padding: 3px 4px; overflow-wrap: anywhere;}
:is(#batch-gallery, #steel-batch-gallery) .grid-wrap {min-height: 0;}
#batch-table [role=gridcell] *, #batch-table th *, #steel-batch-table [role=gridcell] *,
#steel-batch-table th * {font-family: var(--font) !important;}
#batch-table th .cell-menu-button, #steel-batch-table th .cell-menu-button {display: flex;
  border: 0; background: none; width: 16px; min-width: 16px; margin: 0; right: 0;
  color: var(--body-text-color-subdued);}
#steel-batch-table {max-width: 100%; overflow-x: auto;}
#api-endpoints code {white-space: normal; overflow-wrap: anywhere;}
#api-endpoints table {width: 100%; font-size: .9rem;}
#api-endpoints :is(table, tr, th, td) {border-color: var(--border-color-primary) !important;}
#api-endpoints td {vertical-align: top;}
@media (max-width: 640px) {
  #api-endpoints table {table-layout: fixed;}
  #api-endpoints :is(th, td) {padding: 6px; overflow-wrap: anywhere;}
  #steel-batch-gallery .grid-container {grid-template-columns: repeat(2, 1fr) !important;}
}
"""
