// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;

/** All words of a picture can be read: none is outside, and none is over another. */
class StoryPictureTest {
    private static final Pattern SIZE = Pattern.compile("viewBox=\"0 0 (\\d+) (\\d+)\"");
    private static final Pattern TEXT = Pattern.compile(
            "<text x=\"(-?\\d+)\" y=\"(-?\\d+)\" class=\"([^\"]*)\"(?: text-anchor=\"(\\w+)\")?>([^<]*)</text>");

    /** Pixels of a character in narrow fonts, so that what overlaps here overlaps everywhere. */
    private static final double CHARACTER = 5.5;

    private record Words(double left, double right, int base, String text) {
        boolean meets(Words other) {
            return left < other.right && other.left < right && Math.abs(base - other.base) < 8;
        }
    }

    private static List<Words> words(String svg) {
        List<Words> all = new ArrayList<>();
        Matcher matcher = TEXT.matcher(svg);
        while (matcher.find()) {
            String text = matcher.group(5).replaceAll("&\\w+;", "x");
            double length = text.length() * CHARACTER;
            String anchor = matcher.group(4) == null ? "start" : matcher.group(4);
            double left = Integer.parseInt(matcher.group(1))
                    - (anchor.equals("middle") ? length / 2 : anchor.equals("end") ? length : 0);
            all.add(new Words(left, left + length, Integer.parseInt(matcher.group(2)), text));
        }
        return all;
    }

    @Test
    void noWordsAreOutsideOrOverOthers() {
        for (Outcome outcome : Library.RUNS) {
            for (WordStory story : WordStory.of(outcome)) {
                String svg = StoryPicture.svg(story, "sentence", "id");
                Matcher size = SIZE.matcher(svg);
                assertThat(size.find()).isTrue();
                List<Words> words = words(svg);
                assertThat(words).as(Library.name(outcome)).hasSizeGreaterThan(3);
                for (int i = 0; i < words.size(); i++) {
                    Words each = words.get(i);
                    assertThat(each.left() >= 0
                                    && each.right() <= Integer.parseInt(size.group(1))
                                    && each.base() <= Integer.parseInt(size.group(2)))
                            .as("%s: %s", Library.name(outcome), each)
                            .isTrue();
                    assertThat(words.subList(i + 1, words.size()))
                            .as("%s: %s", Library.name(outcome), each)
                            .noneMatch(each::meets);
                }
            }
        }
    }
}
