"""Models from a user's YAML files: `derived` from another model, or `templated` words for Pythia 8.

`reading` makes a model out of a file, `kept` is the directory of those that were added, `checking` tries one out.

    name: heavy-axial                     name: my-zprime
    base: spin1-axial                     base: pythia8
    parameters:                           parameters:
      mass: {is: m_med, lower: 1000}        m_med: {unit: GeV, meaning: mass, lower: 500, upper: 5000}
    fixed: {g_q: 0.1, g_l: 0.01}          pythia8:
                                            settings: ["NewGaugeBoson:ffbar2gmZZprime=on", "32:m0={m_med}"]
                                            recoil_id: 32
                                            invisible_ids: [18]
"""
