"""Alerts of a tag in a browser: what it tells at, and a test that arrives, signed."""

import hmac
from hashlib import sha256

from playwright.sync_api import expect

from tests.browser.site import ALERT_SECRET


def test_a_test_arrives_with_a_valid_signature(page, site, look):
    ((pk,),) = site.rows("select id from tags_tag where name = 'marketing'")
    site.rows(
        """insert into spend_alert (id, kind, window_id, threshold, subject, facts)
           select gen_random_uuid(), 'budget.threshold', w.id, 80, '',
                  '{"tag": "marketing", "spent": 2.01, "limit": 2.5}'
             from spend_budgetwindow w join tags_tag t on t.budget_id = w.budget_id
            where t.id = %s and w.is_open on conflict do nothing""",
        pk,
    )
    page.goto(f"/tags/{pk}/alerts/")
    expect(page.locator("main")).to_contain_text("marketing has used 80% of its budget")
    expect(page.locator("main")).to_contain_text("100% reached")
    look(page, "tag-alerts", widths=(320,))

    before = len(site.hooks)
    page.get_by_role("button", name="Send a test").click()

    expect(page.locator(".messagelist")).to_contain_text("answered 200")
    ((headers, body),) = site.hooks[before:]
    digest = hmac.new(ALERT_SECRET.encode(), body, sha256).hexdigest()
    assert headers["x-tollgate-signature"] == f"sha256={digest}"
