"""The demo's turnstile: a lane of its own that a visitor plays with in a browser.

turnstile       the parts below put together, for the demo's loop
visitor_lane    the visitor's lane and devices, and what each verb does
verbs, refusals the verbs that a page may send, and why one is refused
scene, scene_taps, cards_on_reader, city_requests, switch_results
                what is known of the lane, its taps, the cards on its reader, the requests at
                the city, and the measured result of each switch
page_server     serves the page, sends it the scene, and receives its verbs
page/           the page
"""
