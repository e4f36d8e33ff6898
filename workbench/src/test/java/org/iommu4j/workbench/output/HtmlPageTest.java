// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * What people with weak eyes, a keyboard or a screen reader need of every page.
 *
 * @see <a href="https://www.w3.org/TR/WCAG21/#contrast-minimum">WCAG 2.1, 1.4.3 contrast, level AA</a>
 */
class HtmlPageTest {
    private static final double LEAST_CONTRAST = 4.5;

    private static final Pattern COLOUR = Pattern.compile("--([a-z]+):#([0-9a-f]{6})");
    private static final Pattern INK = Pattern.compile("body\\{[^}]*[{;]?color:#([0-9a-f]{6})");
    private static final String DARK = "@media screen and (prefers-color-scheme:dark)";

    private static double light(int channel) {
        double part = channel / 255.0;
        return part <= 0.03928 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4);
    }

    private static double luminance(String colour) {
        int rgb = Integer.parseInt(colour, 16);
        return 0.2126 * light(rgb >> 16) + 0.7152 * light(rgb >> 8 & 0xff) + 0.0722 * light(rgb & 0xff);
    }

    private static double contrast(String one, String other) {
        double first = luminance(one);
        double second = luminance(other);
        return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
    }

    private static Map<String, String> colours(String style) {
        Map<String, String> colours = new HashMap<>();
        COLOUR.matcher(style).results().forEach(found -> colours.put(found.group(1), found.group(2)));
        INK.matcher(style).results().forEach(found -> colours.put("ink", found.group(1)));
        return colours;
    }

    @Test
    void textHasEnoughContrastInLightAndInDark() {
        String page = HtmlPage.begin("title", "");
        int dark = page.indexOf(DARK);
        String darkRules = page.substring(dark, page.indexOf("@media print", dark));

        for (String style : List.of(page.substring(0, dark), darkRules)) {
            Map<String, String> colours = colours(style);
            for (String text : List.of("ink", "mute", "link", "good", "bad", "open")) {
                for (String ground : List.of("page", "soft")) {
                    assertThat(colours).as(style).containsKeys(text, ground);
                    assertThat(contrast(colours.get(text), colours.get(ground)))
                            .as("%s on %s: %s", text, ground, colours)
                            .isGreaterThanOrEqualTo(LEAST_CONTRAST);
                }
            }
        }
    }

    @Test
    void aPartThatScrollsIsReachedByKeysAndHasAName() {
        assertThat(HtmlPage.scrolling("a \"table\" & more"))
                .isEqualTo("<div class=\"scroll\" tabindex=\"0\" role=\"region\""
                        + " aria-label=\"a &#34;table&#34; &#38; more\">");
    }
}
