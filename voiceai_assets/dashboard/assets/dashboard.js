/* What must happen in the browser: the picker writes the address, and a page whose server is gone says so. */
(function () {
  "use strict";
  var LATE_AFTER_MS = 75000; // two refreshes of 30 s missed, plus their answers
  var heardAt = Date.now();

  function chooseDays(value, shown) {
    var dash = window.dash_clientside;
    if (!shown) {
      return dash.no_update;
    }
    var first = value && value[0];
    var last = value && value[1];
    if (!first && !last) {
      if (shown.start && window.location.search) {
        dash.set_props("url", { search: "" });
      } else if (shown.start) {
        dash.set_props("range", { value: [shown.start, shown.end] });
      }
    } else if (first && last && (first !== shown.start || last !== shown.end)) {
      dash.set_props("url", { search: "?from=" + encodeURIComponent(first) + "&to=" + encodeURIComponent(last) });
    }
    return dash.no_update;
  }

  function sayLate() {
    var dash = window.dash_clientside;
    var by = dash.callback_context.triggered.map(function (t) { return t.prop_id; });
    // Dash waits for the answer that a tick asked for, then names both; a tick alone means that none came
    if (by.length !== 1 || by[0] !== "tick.n_intervals") {
      heardAt = Date.now();
    }
    var late = Date.now() - heardAt > LATE_AFTER_MS;
    document.documentElement.toggleAttribute("data-late", late);
    if (!late) {
      return ["", true];
    }
    var time = new Date(heardAt).toLocaleTimeString();
    return ["No answer since " + time + ". These numbers may be out of date. Is voiceai up still running?", false];
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    voiceai: { chooseDays: chooseDays, sayLate: sayLate },
  });
})();
