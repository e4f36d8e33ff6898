// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

/** Reads pictures and ids out of pages. */
final class Drawings {
    private static final Pattern PICTURE = Pattern.compile("(?s)<svg class=\"story\" role=.*?</svg>");
    private static final Pattern ID = Pattern.compile(" id=\"([^\"]*)\"");

    private Drawings() {}

    /** Returns the pictures of a page, without those of its legend. */
    static List<String> of(String html) {
        return PICTURE.matcher(html).results().map(MatchResult::group).toList();
    }

    static List<String> ids(String html) {
        return ID.matcher(html).results().map(match -> match.group(1)).toList();
    }

    /** Parses one as XML, which refuses what is not escaped or not closed. */
    static Element parse(String svg) throws ParserConfigurationException, IOException, SAXException {
        return DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(svg)))
                .getDocumentElement();
    }

    /** Returns the elements with a name, in order. */
    static List<Element> elements(Element root, String name) {
        NodeList nodes = root.getElementsByTagName(name);
        List<Element> elements = new ArrayList<>();
        for (int i = 0; i < nodes.getLength(); i++) {
            elements.add((Element) nodes.item(i));
        }
        return elements;
    }
}
